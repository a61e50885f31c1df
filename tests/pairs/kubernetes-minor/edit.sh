# A minor of Kubernetes
sed -i 's/version: 1.36.5 /version: 1.37.0 /' cluster.yaml

# A patch level of Kubernetes
sed -i 's/version: 1.36.5 /version: 1.36.6 /' cluster.yaml

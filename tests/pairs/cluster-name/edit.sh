# The cluster's name
sed -i 's/name: k8s-cluster1/name: k8s-cluster2/' cluster.yaml

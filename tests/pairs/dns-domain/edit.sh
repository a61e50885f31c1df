# The cluster's DNS domain
sed -i 's/dnsDomain: cluster.local/dnsDomain: k8s.example/' cluster.yaml

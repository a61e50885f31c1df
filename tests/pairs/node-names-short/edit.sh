# Nodes by their short names
sed -i 's/nodeName: fqdn/nodeName: short/' cluster.yaml

# Only checked for overlap: nothing on any host changes
sed -i 's|externalSubnet: 198.19.0.0/16|externalSubnet: 203.0.113.0/24|' cluster.yaml

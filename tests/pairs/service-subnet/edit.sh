# What cannot change once services exist
sed -i 's|serviceSubnet: 198.18.0.0/16|serviceSubnet: 10.96.0.0/16|' cluster.yaml

# What cannot change once pods run
sed -i 's|podSubnet: 100.64.0.0/10|podSubnet: 10.128.0.0/12|' cluster.yaml

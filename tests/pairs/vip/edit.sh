# The VIP: certificates, keepalived, hosts' names
sed -i 's|192.168.13.70/24|192.168.13.69/24|' cluster.yaml

# A worker's address
sed -i 's/192.168.13.67/192.168.13.68/' hosts.yaml

# A control plane's address
sed -i 's/192.168.13.63/192.168.13.64/' hosts.yaml

# A member's address
sed -i 's/192.168.13.37/192.168.13.38/' hosts.yaml

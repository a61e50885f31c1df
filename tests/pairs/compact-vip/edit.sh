# Hosts that are everything get another VIP
# base: compact
sed -i 's|192.168.20.10/24|192.168.20.9/24|' cluster.yaml

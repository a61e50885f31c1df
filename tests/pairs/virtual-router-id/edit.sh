# The VRRP instance's number
sed -i 's/virtualRouterId: 70/virtualRouterId: 71/' cluster.yaml

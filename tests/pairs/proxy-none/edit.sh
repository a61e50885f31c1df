# No kube-proxy
sed -i 's/mode: nftables /mode: none /' cluster.yaml

# kube-proxy's mode
sed -i 's/mode: nftables /mode: iptables /' cluster.yaml

# Two control planes more
for n in 4 5; do printf '  - {name: k8smaster%d, address: 192.168.13.5%d, roles: [control-plane]}\n' $n $n >>hosts.yaml; done

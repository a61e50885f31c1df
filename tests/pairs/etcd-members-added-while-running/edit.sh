# Two members more, of a running cluster
for n in 4 5; do printf '  - {name: k8setcd%d, address: 192.168.13.4%d, roles: [etcd]}\n' $n $n >>hosts.yaml; done

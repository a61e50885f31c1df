for n in 4 5; do printf '  - name: k8setcd%d\n    address: 192.168.13.4%d\n    roles: [etcd]\n' $n $n >>hosts.yaml; done

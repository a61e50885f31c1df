# Three hosts more at once
for n in 4 5 6; do printf '  - {name: k8sworker%d, address: 192.168.13.8%d, roles: [worker]}\n' $n $n >>hosts.yaml; done

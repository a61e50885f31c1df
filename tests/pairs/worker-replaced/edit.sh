# One host leaves, another comes
sed -i '/name: k8sworker3$/a\    state: retired' hosts.yaml
printf '  - {name: k8sworker4, address: 192.168.13.68, roles: [worker]}\n' >>hosts.yaml

# A worker more
printf '  - {name: k8sworker4, address: 192.168.13.68, roles: [worker]}\n' >>hosts.yaml

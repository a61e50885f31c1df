# A third balancer
printf '  - {name: k8svrrp3, address: 192.168.13.73, roles: [load-balancer]}\n' >>hosts.yaml

printf '  - name: k8svrrp3\n    address: 192.168.13.73\n    roles: [load-balancer]\n' >>hosts.yaml

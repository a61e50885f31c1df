# A minor of Kubernetes, and a worker that would join meanwhile
sed -i 's/version: 1.36.5 /version: 1.37.0 /' cluster.yaml
printf '  - {name: k8sworker4, address: 192.168.13.68, roles: [worker]}\n' >>hosts.yaml

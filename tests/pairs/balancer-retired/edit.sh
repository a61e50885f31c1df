# One of three balancers leaves in order
sed -i '/name: k8svrrp3$/a\    state: retired' hosts.yaml

# Two of five members leave in order
sed -i '/name: k8setcd4$/a\    state: retired' hosts.yaml
sed -i '/name: k8setcd5$/a\    state: retired' hosts.yaml

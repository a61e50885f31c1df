# Two workers leave in order
sed -i '/name: k8sworker2$/a\    state: retired' hosts.yaml
sed -i '/name: k8sworker3$/a\    state: retired' hosts.yaml

sed -i '/name: k8sworker3$/a\    state: retired' hosts.yaml

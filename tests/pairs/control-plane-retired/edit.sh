# A control plane leaves in order
sed -i '/name: k8smaster3$/a\    state: retired' hosts.yaml

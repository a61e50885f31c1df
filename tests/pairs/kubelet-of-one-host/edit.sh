# A setting of one kubelet
sed -i '/name: k8sworker2/a\    kubelet: {maxPods: 220}' hosts.yaml

# A taint on one node
sed -i '/name: k8sworker2/a\    taints: [{key: dedicated, value: gpu, effect: NoSchedule}]' hosts.yaml

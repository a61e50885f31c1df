# A flag of one kubelet
sed -i '/name: k8sworker2/a\    kubeletExtraArgs: {v: "4"}' hosts.yaml

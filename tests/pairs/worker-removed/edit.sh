# A host vanishes without having been retired
sed -i '/name: k8sworker3/,+2d' hosts.yaml

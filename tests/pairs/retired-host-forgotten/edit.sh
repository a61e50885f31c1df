# A host that has left is taken out of the inventory
sed -i '/name: k8sworker3/,+3d' hosts.yaml

# A label on one node
sed -i '/name: k8sworker2/a\    labels: {disk: nvme}' hosts.yaml

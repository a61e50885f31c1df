# Another name is another host
sed -i 's/name: k8sworker3/name: k8sworker9/' hosts.yaml

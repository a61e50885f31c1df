# The name that everybody connects to
sed -i 's/k8sapi.isociel.com:6443/api.isociel.com:6443/' cluster.yaml

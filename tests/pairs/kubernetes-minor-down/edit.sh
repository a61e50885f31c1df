# Back to the minor before, on a cluster that runs: kubeadm does not go down
sed -i -e "s/version: 1.36.5 /version: 1.35.8 /" -e "s/state: new/state: running/" cluster.yaml

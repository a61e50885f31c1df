# Where kubeadm signs: another name for the API server
# base: pki-kubeadm
sed -i 's/^  controlPlaneEndpoint: .*/&\n  apiServer: {certSANs: [api.example.org]}/' cluster.yaml

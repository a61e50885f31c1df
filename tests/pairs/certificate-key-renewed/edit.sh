# Where kubeadm spreads the CAs: another key for them
# base: pki-kubeadm
rm -r secrets/objects/certificate-key

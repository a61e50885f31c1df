# A member vanishes without having been retired
sed -i '/name: k8setcd3/,+2d' hosts.yaml

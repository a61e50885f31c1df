# One certificate is issued again
# days: 300
rm -r secrets/objects/etcd-server/k8setcd1.isociel.com

# Back to the minor before: etcd goes down by a procedure of its own only
sed -i "s/version: 3.6.14/version: 3.5.30/" cluster.yaml

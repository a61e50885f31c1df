# A patch level of etcd: binaries come from elsewhere, files say so
sed -i 's/version: 3.6.14/version: 3.6.15/' cluster.yaml

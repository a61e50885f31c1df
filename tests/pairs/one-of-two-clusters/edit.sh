# One of two clusters changes
# base: two-clusters
printf 'etcd: {heartbeatInterval: 200}\n' >green/more.yaml

# A setting of a cluster of two families
# base: dual-stack
cat >more.yaml <<'END'
etcd: {heartbeatInterval: 200}
END

# A field of etcd: its members restart, one at a time
cat >more.yaml <<'END'
etcd: {heartbeatInterval: 200}
END

# A single member restarts: there is no quorum to keep
# base: single
cat >more.yaml <<'END'
etcd: {heartbeatInterval: 200}
END

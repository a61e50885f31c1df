# Hosts that are everything: each restarts one at a time
# base: compact
cat >more.yaml <<'END'
etcd: {heartbeatInterval: 200}
END

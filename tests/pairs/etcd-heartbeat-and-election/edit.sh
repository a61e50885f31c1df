# Two fields of one file
cat >more.yaml <<'END'
etcd: {heartbeatInterval: 250, electionTimeout: 2500}
END

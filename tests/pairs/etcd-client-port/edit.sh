# The port that API servers use
cat >more.yaml <<'END'
etcd: {clientPort: 12379}
END

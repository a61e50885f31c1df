# The port of /metrics
cat >more.yaml <<'END'
etcd: {metricsPort: 12381}
END

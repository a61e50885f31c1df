# etcd compacts by itself
cat >more.yaml <<'END'
etcd: {autoCompaction: {mode: periodic, retention: 8h}}
END

# The size of etcd's database
cat >more.yaml <<'END'
etcd: {quotaBackendBytes: 4GiB}
END

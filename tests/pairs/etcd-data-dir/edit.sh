# The data directory: the member would start empty
cat >more.yaml <<'END'
etcd: {dataDir: /srv/etcd}
END

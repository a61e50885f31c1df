# Peers and servers under one CA
cat >more.yaml <<'END'
etcd: {peerCA: same}
END

# A member's peer URL, by which the others know it
cat >more.yaml <<'END'
etcd: {peerPort: 12380}
END

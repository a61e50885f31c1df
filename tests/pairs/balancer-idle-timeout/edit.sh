# How long a connection may be silent: nginx reloads
cat >more.yaml <<'END'
loadBalancer: {idleTimeout: 12h}
END

cat >more.yaml <<'END'
loadBalancer: {auth: true}
END

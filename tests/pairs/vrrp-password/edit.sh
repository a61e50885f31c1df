# Adverts with a password: a secret is made
cat >more.yaml <<'END'
loadBalancer: {auth: true}
END

cat >more.yaml <<'END'
roles: {worker: {labels: {pool: general}}}
END

# A label on every worker
cat >more.yaml <<'END'
roles: {worker: {labels: {pool: general}}}
END

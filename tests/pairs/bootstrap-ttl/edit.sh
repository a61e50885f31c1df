# The bootstrap token's life: read once
cat >more.yaml <<'END'
kubernetes: {bootstrapToken: {ttl: 12h}}
END

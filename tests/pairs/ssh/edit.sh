# How the bastion reaches the hosts: only its own bundle changes
cat >more.yaml <<'END'
defaults: {ssh: {user: ops, port: 2222}}
END

# What kubeadm ignores when it joins
cat >more.yaml <<'END'
roles: {worker: {ignorePreflightErrors: [NumCPU]}}
END

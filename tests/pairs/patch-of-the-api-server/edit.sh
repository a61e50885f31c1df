# The user's kubeadm patch of every API server
mkdir -p patches
printf 'spec:\n  priorityClassName: system-node-critical\n' >patches/apiserver.yaml
cat >>cluster.yaml <<'END'
roles:
  control-plane:
    patches: [{target: kube-apiserver, source: apiserver.yaml}]
END

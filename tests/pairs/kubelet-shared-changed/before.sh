cat >more.yaml <<'END'
kubernetes: {kubelet: {maxPods: 200}}
END

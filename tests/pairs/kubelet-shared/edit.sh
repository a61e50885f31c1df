# A setting of every kubelet
cat >more.yaml <<'END'
kubernetes: {kubelet: {maxPods: 200}}
END

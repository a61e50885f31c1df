# Another registry
cat >more.yaml <<'END'
kubernetes: {imageRepository: registry.example.com/k8s}
END

# CoreDNS of another registry
sed -i 's/^  networking:/  dns: {imageRepository: registry.example.com\/dns, imageTag: v1.14.3}\n  networking:/' cluster.yaml

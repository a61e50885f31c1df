# A longer life for every certificate
sed -i 's/  validity: 1y/  validity: 2y/' cluster.yaml

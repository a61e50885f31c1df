# A longer life for the CAs: those that are there stay as they are
sed -i 's/caValidity: 10y/caValidity: 15y/' cluster.yaml

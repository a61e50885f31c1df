# The same setting gets another value
sed -i 's/262144/524288/' more.yaml

# The port of the endpoint
sed -i 's/port: 6443/port: 7443/; s/isociel.com:6443/isociel.com:7443/' cluster.yaml

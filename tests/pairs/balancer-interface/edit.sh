# The balancers' interface
sed -i 's/interface: ens33/interface: ens192/' cluster.yaml

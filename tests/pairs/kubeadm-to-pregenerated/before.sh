sed -i 's/state: new/state: running/' cluster.yaml

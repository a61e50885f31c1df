# The cluster runs: founding facts are guarded, members and nodes join
sed -i 's/state: new /state: running /' cluster.yaml

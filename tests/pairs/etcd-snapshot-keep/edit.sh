# How many snapshots are kept: nothing restarts
sed -i 's/keep: 7/keep: 14/' cluster.yaml

# When a certificate is due: nothing on any host changes
sed -i 's/renewBefore: 90d/renewBefore: 60d/' cluster.yaml

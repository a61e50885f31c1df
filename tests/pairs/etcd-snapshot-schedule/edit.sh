# When a snapshot is saved: only the timer restarts
sed -i 's/schedule: daily/schedule: hourly/' cluster.yaml

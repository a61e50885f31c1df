# Failure domains: only the overview knows them
n=0; for h in k8setcd1 k8setcd2 k8setcd3; do n=$((n + 1)); sed -i "/name: $h/a\\    zone: rack-$n" hosts.yaml; done

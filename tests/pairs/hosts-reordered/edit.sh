# Hosts in another order
{ sed -n '1,/^hosts:/p' hosts.yaml; for n in k8sworker3 k8smaster2 k8setcd2 k8svrrp2 k8sworker1 k8smaster3 k8setcd3 k8svrrp1 k8sworker2 k8smaster1 k8setcd1; do sed -n "/name: $n\$/,+2p" hosts.yaml; done; } >sorted.yaml
mv sorted.yaml hosts.yaml

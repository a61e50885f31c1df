# Comments, quotes and flow style
sed -i 's/ *#.*//; /^ *$/d; s/version: 3.6.14/version: "3.6.14"/; s/roles: .etcd./roles: ["etcd"]/' cluster.yaml hosts.yaml
sed -i "s/name: k8s-cluster1/'name': 'k8s-cluster1'/" cluster.yaml

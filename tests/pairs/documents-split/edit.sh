# The same settings in more documents
sed -n '/^etcd:/,/^$/p' cluster.yaml >etcd.yaml; sed -i '/^etcd:/,/^$/d' cluster.yaml; mkdir deeper; mv etcd.yaml deeper/

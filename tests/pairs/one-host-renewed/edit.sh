# Every certificate of one control plane
# days: 300
for of in apiserver apiserver-kubelet-client front-proxy-client apiserver-etcd-client admin controller-manager scheduler; do rm -r secrets/objects/$of/k8smaster2.isociel.com; done

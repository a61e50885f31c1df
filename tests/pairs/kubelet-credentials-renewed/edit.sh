# External-CA mode: one kubelet's credentials are issued again
# base: external-ca
# days: 300
rm -r secrets/objects/kubelet/k8sworker1.isociel.com

#!/bin/bash
# images.sh IMAGE...: run on a host of the lab that has Kubernetes' components: its containerd has these images then, each by the
# name that kubeadm and the kubelet ask for.
set -euo pipefail
for image in "$@"; do
    name=${image##*/}
    name=${name%:*}
    ctr --namespace k8s.io images import "/usr/local/share/lab/$name.tar" >/dev/null
    ctr --namespace k8s.io images tag --force "lab.invalid/$name:lab" "$image" >/dev/null
done

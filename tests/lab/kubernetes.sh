#!/bin/bash
# kubernetes.sh TARGET KUBERNETES: Kubernetes' own components, as a layer over what programs.sh makes: kubelet and kubectl are no
# stand-ins then, and the control plane's images are there as tarballs. KUBERNETES is the folder that tests/oracle/kubernetes.sh
# prints.
set -euo pipefail
TARGET=$1
KUBERNETES=$2
HERE=$(dirname -- "$(readlink -f -- "$0")")

install -d -m 0755 "$TARGET/usr" "$TARGET/usr/bin" "$TARGET/usr/lib" "$TARGET/usr/lib/systemd" "$TARGET/usr/lib/systemd/system" \
    "$TARGET/usr/lib/systemd/system/kubelet.service.d" "$TARGET/usr/local" "$TARGET/usr/local/sbin" "$TARGET/usr/local/share" \
    "$TARGET/usr/local/share/lab" "$TARGET/etc" "$TARGET/etc/default"
install -m 0755 "$KUBERNETES/kubelet" "$KUBERNETES/kubectl" "$TARGET/usr/bin/"
# As the distributions' packages have them: the unit, and the drop-in by which it is kubeadm's.
cat >"$TARGET/usr/lib/systemd/system/kubelet.service" <<'END'
[Unit]
Description=kubelet
StartLimitIntervalSec=0
[Service]
ExecStart=/usr/bin/kubelet
Restart=always
RestartSec=10
[Install]
WantedBy=multi-user.target
END
cat >"$TARGET/usr/lib/systemd/system/kubelet.service.d/10-kubeadm.conf" <<'END'
[Service]
Environment="KUBELET_KUBECONFIG_ARGS=--bootstrap-kubeconfig=/etc/kubernetes/bootstrap-kubelet.conf --kubeconfig=/etc/kubernetes/kubelet.conf"
Environment="KUBELET_CONFIG_ARGS=--config=/var/lib/kubelet/config.yaml"
EnvironmentFile=-/var/lib/kubelet/kubeadm-flags.env
EnvironmentFile=-/etc/default/kubelet
ExecStart=
ExecStart=/usr/bin/kubelet $KUBELET_KUBECONFIG_ARGS $KUBELET_CONFIG_ARGS $KUBELET_KUBEADM_ARGS $KUBELET_EXTRA_ARGS
END
# What the lab cannot give it: cgroup controllers, and a disk of its own to keep free.
cat >"$TARGET/etc/default/kubelet" <<'END'
KUBELET_EXTRA_ARGS="--cgroups-per-qos=false --enforce-node-allocatable= --eviction-hard=memory.available<50Mi --image-gc-high-threshold=100"
END
# Nor the kernel's log, which there is one of for the whole machine.
install -d -m 0755 "$TARGET/usr/lib/tmpfiles.d"
printf 'L /dev/kmsg - - - - /dev/null\n' >"$TARGET/usr/lib/tmpfiles.d/lab-kmsg.conf"
# A pod gets the host's; there is no name server.
printf 'nameserver 127.0.0.1\n' >"$TARGET/etc/resolv.conf"
install -m 0755 "$HERE/runc" "$TARGET/usr/local/sbin/runc"

# What waits for a signal and does nothing stands for the three that the control plane does not need.
pause=$(mktemp -d)
trap 'rm -rf -- "$pause"' EXIT
CGO_ENABLED=0 go build -trimpath -ldflags '-s -w' -o "$pause/pause" "$HERE/pause.go"
for name in kube-apiserver kube-controller-manager kube-scheduler; do
    bash "$HERE/image.sh" "$TARGET/usr/local/share/lab/$name.tar" "lab.invalid/$name:lab" "$KUBERNETES/$name"
done
for name in pause kube-proxy coredns; do
    if [[ $name != pause ]]; then cp "$pause/pause" "$pause/$name"; fi
    bash "$HERE/image.sh" "$TARGET/usr/local/share/lab/$name.tar" "lab.invalid/$name:lab" "$pause/$name"
done

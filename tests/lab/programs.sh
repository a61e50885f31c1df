#!/bin/bash
# programs.sh TARGET ORACLE: what the hosts have beside the distribution's packages, as a layer over the root file system: the
# oracle's kubeadm, etcd and containerd where the bundles look for them, and stand-ins for the kubelet and kubectl.
set -euo pipefail
TARGET=$1
ORACLE=$2

install -d -m 0755 "$TARGET" "$TARGET/usr" "$TARGET/usr/bin" "$TARGET/usr/local" "$TARGET/usr/local/bin" "$TARGET/usr/lib" \
    "$TARGET/usr/lib/systemd" "$TARGET/usr/lib/systemd/system"
install -m 0755 "$ORACLE"/etcd "$ORACLE"/etcdctl "$ORACLE"/etcdutl "$TARGET/usr/local/bin/"
install -m 0755 "$ORACLE/kubeadm" "$ORACLE/containerd" "$TARGET/usr/bin/"
# No kubelet and no kubectl can be had from the distribution. These two say what they are and do nothing: a host that has
# them takes install.sh, and nobody takes it for a node.
for name in kubelet kubectl; do
    printf '#!/bin/sh\necho "%s: the stand-in of the lab, it does nothing" >&2\nexit 1\n' "$name" >"$TARGET/usr/bin/$name"
    chmod 0755 "$TARGET/usr/bin/$name"
done
cat >"$TARGET/usr/lib/systemd/system/kubelet.service" <<'END'
[Unit]
Description=Stand-in for the kubelet (it does nothing)
[Service]
ExecStart=/usr/bin/kubelet
Restart=always
RestartSec=10
[Install]
WantedBy=multi-user.target
END

#!/bin/bash
# joining.sh DIR KUBEADM: hosts join, or begin a cluster, each in a chroot of its bundle's files, up to where kubeadm needs a kubelet. Made to
# be run in network, mount and process namespaces of its own, as root.
#
#   DIR/nginx.conf   the cluster that they find
#   DIR/addresses    every address of the cluster, a line each: all are here
#   DIR/hosts        a line each: root folder, host name, `init`, `control-plane` or `worker`, preflight errors to ignore
#
# What kubeadm said goes to ROOT.said, and how it ended to ROOT.code.
set -euo pipefail
DIR=$1
KUBEADM=$2

ip link set lo up
while read -r address; do
    if [[ $address == *:* ]]; then ip addr add "$address/128" dev lo nodad; else ip addr add "$address/32" dev lo; fi
done <"$DIR/addresses"
for key in net/ipv4/ip_forward net/ipv6/conf/default/forwarding; do printf '1\n' >"/proc/sys/$key"; done
nginx -c "$DIR/nginx.conf" -e "$DIR/nginx.error" -g 'daemon on;'

# joins ROOT ROLE IGNORED: the phases, as far as they go.
joins() {
    local root=$1 role=$2 ignored=$3
    local kubeadm=(timeout 40 "$KUBEADM" --rootfs "$root")
    if [[ $role == init ]]; then
        "${kubeadm[@]}" init phase preflight --config /etc/kubernetes/kubeadm.yaml --ignore-preflight-errors "$ignored"
        return
    fi
    kubeadm+=(join phase)
    "${kubeadm[@]}" preflight --config /etc/kubernetes/kubeadm.yaml --ignore-preflight-errors "$ignored" || return
    if [[ $role == control-plane ]]; then
        "${kubeadm[@]}" control-plane-prepare all --config /etc/kubernetes/kubeadm.yaml || return
    fi
}
while read -r root name role ignored; do
    # The programs that kubeadm looks for are the machine's; its /etc and /var are the bundle's alone.
    mkdir -p "$root"/{usr,proc,sys,dev,tmp,var/lib}
    mount --bind /usr "$root/usr"
    mount --rbind /proc "$root/proc"
    mount --rbind /sys "$root/sys"
    mount --rbind /dev "$root/dev"
    for folder in bin sbin lib lib64; do ln -sfn "usr/$folder" "$root/$folder"; done
    hostname "$name"
    code=0
    PATH=/opt/stand-in:$PATH joins "$root" "$role" "$ignored" >"$root.said" 2>&1 || code=$?
    printf '%s\n' "$code" >"$root.code"
    umount -l "$root"/{usr,proc,sys,dev}
done <"$DIR/hosts"
nginx -c "$DIR/nginx.conf" -e "$DIR/nginx.error" -s stop

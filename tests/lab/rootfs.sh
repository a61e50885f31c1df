#!/bin/bash
# rootfs.sh TARGET: makes the root file system of the lab's hosts, a plain server of the machine's own distribution with the
# packages that the bundles ask for. Its bytes are a part of the cache's key: what changes here makes a new root file system.
# Needs root.
set -euo pipefail
TARGET=$1
# shellcheck disable=SC1091 # the machine's
. /etc/os-release

packages=(systemd systemd-sysv dbus libpam-systemd udev iproute2 iputils-ping openssl nginx libnginx-mod-stream keepalived
    curl ca-certificates openssh-server openssh-client procps kmod conntrack ethtool iptables nftables socat containerd runc
    bsdutils mount util-linux)
sources=/etc/apt/sources.list
if [[ -f /etc/apt/sources.list.d/$ID.sources ]]; then sources=/etc/apt/sources.list.d/$ID.sources; fi

mmdebstrap --mode=root --variant=minbase --quiet --include="$(IFS=,; printf '%s' "${packages[*]}")" \
    --aptopt='APT::Sandbox::User "root"' \
    --dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-exclude=/usr/share/man/*' \
    --dpkgopt='path-exclude=/usr/share/locale/*' "$VERSION_CODENAME" "$TARGET" "$sources" >&2

for unit in nginx keepalived containerd; do systemctl --quiet --root="$TARGET" disable "$unit.service"; done
systemctl --quiet --root="$TARGET" enable ssh.service
# Nothing of this can work without the machine's own devices; cut off here rather than failing at each boot.
systemctl --quiet --root="$TARGET" mask systemd-udevd.service systemd-udevd-kernel.socket systemd-udevd-control.socket \
    systemd-udev-trigger.service console-getty.service getty.target sys-kernel-debug.mount sys-kernel-tracing.mount \
    sys-kernel-config.mount dev-hugepages.mount dev-mqueue.mount apt-daily.timer apt-daily-upgrade.timer \
    systemd-networkd.service systemd-resolved.service systemd-timesyncd.service
mkdir -p "$TARGET/etc/systemd/journald.conf.d"
printf '[Journal]\nStorage=volatile\n' >"$TARGET/etc/systemd/journald.conf.d/lab.conf"
: >"$TARGET/etc/machine-id"
rm -f "$TARGET"/etc/ssh/ssh_host_* "$TARGET/etc/hostname" "$TARGET/etc/resolv.conf"
printf '127.0.0.1 localhost\n' >"$TARGET/etc/hosts"
# The kernel is the machine's. What it has built in must be known to modprobe, or `modprobe overlay` fails where overlay works.
modules=$TARGET/lib/modules/$(uname -r)
mkdir -p "$modules"
{
    echo kernel/fs/overlayfs/overlay.ko
    echo kernel/net/bridge/br_netfilter.ko
    echo kernel/net/netfilter/nf_conntrack.ko
} >"$modules/modules.builtin"
: >"$modules/modules.order"
chroot "$TARGET" depmod "$(uname -r)"
rm -rf "$TARGET"/var/cache/apt/* "$TARGET"/var/lib/apt/lists/*

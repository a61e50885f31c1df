#!/bin/bash
# on-host.sh state|content: what the lab's test looks at on a host; sent over ssh to `bash -s`. Only what every host has.
#
#   state     where, when and as what everything below /etc and everything installed is, and since when each unit runs
#   content   what /etc and /usr/local hold, byte for byte, with modes and owners, and which of the units are enabled and run
set -euo pipefail

manifest() { sed -n "s/^{\"$1\": \"\([^\"]*\)\".*/\1/p" /var/lib/khagen/installed/MANIFEST.json; }
# Users that were made stay, as uninstall.sh says; /etc/cni is containerd's, which makes it when it starts.
ours() {
    find "$@" -xdev ! -path '/etc/passwd*' ! -path '/etc/group*' ! -path '/etc/shadow*' ! -path '/etc/gshadow*' \
        ! -path '/etc/subuid*' ! -path '/etc/subgid*' ! -path /etc/.pwd.lock ! -path /etc/machine-id ! -path '/etc/cni*' -printf '%p\n' | sort
}

case $1 in
    state)
        {
            find /etc /var/lib/khagen/installed /var/lib/khagen/backups -xdev
            manifest path
            printf '%s\n' /var/lib/khagen/receipt.json
        } | sort -u | while IFS= read -r path; do
            if [[ -e $path ]]; then stat -c '%n %i %y %z %a %u %g' -- "$path"; fi
        done
        manifest unit | while read -r unit; do
            systemctl show -p Id -p ActiveEnterTimestampMonotonic -p ExecMainPID -p ExecMainStartTimestampMonotonic "$unit"
        done ;;
    content)
        ours /etc /usr/local | while IFS= read -r path; do
            stat -c '%n %F %a %U %G' -- "$path"
            if [[ -L $path ]]; then readlink -- "$path"; elif [[ -f $path ]]; then sha256sum <"$path"; fi
        done
        for unit in nginx keepalived containerd kubelet etcd; do
            printf '%s %s %s\n' "$unit" "$(systemctl is-enabled "$unit" 2>/dev/null || :)" "$(systemctl is-active "$unit" || :)"
        done ;;
    *) exit 64 ;;
esac

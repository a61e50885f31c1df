#!/bin/bash
# accept.sh BUNDLES [ORACLE]: every daemon reads its files of every bundle: nginx, keepalived, systemd, containerd.
#
# BUNDLES holds unpacked bundles of one cluster, ORACLE containerd 2 (for configuration version 3). Each host gets namespaces with
# its own addresses. Needs root. Prints "N passed, N failed".
set -euo pipefail
HERE=$(dirname -- "$(readlink -f -- "$0")")
BUNDLES=$(readlink -f -- "$1")
ORACLE=${2:+$(readlink -f -- "$2")}
BOX=$(mktemp -d)
chmod 0755 "$BOX"
# shellcheck source=net.sh
source "$HERE/net.sh"
tear_down() {
    local code=$?
    net_down
    rm -rf -- "$BOX"
    exit "$code"
}
trap tear_down EXIT

# list HOST KEY: a list of the manifest's head.
list() { sed -n "s/^\"$2\": \[\(.*\)\],$/\1/p" "$BUNDLES/$1/MANIFEST.json" | tr -d '" ' | tr ',' '\n'; }
with_length() { local a; while read -r a; do if [[ $a == *:* ]]; then echo "$a/64"; else echo "$a/24"; fi; done; }
# silent WHAT COMMAND...: passes if the command succeeds and says nothing.
silent() {
    local what=$1 said
    shift
    if said=$("$@" 2>&1) && [[ -z $said ]]; then pass "$what"; else fail "$what: $said"; fi
}

units() {
    local unit
    if [[ ! -d $BUNDLES/$1/root/etc/systemd/system ]]; then return 0; fi
    (cd "$BUNDLES/$1/root/etc/systemd/system" && find . -maxdepth 1 -type f -printf '%f\n' && find . -name '*.conf' -printf '%h\n' | sed 's/\.d$//; s/^\.\///') | sort -u |
        while read -r unit; do
            if [[ -e $BOX/$1/etc/systemd/system/$unit ]]; then echo "/etc/systemd/system/$unit"; else echo "/lib/systemd/system/$unit"; fi
        done
}
containerd_reads() {
    local config=/etc/containerd/config.toml reader=containerd said dump
    if grep -q '^version = 3$' "$BOX/$1$config"; then reader=${ORACLE:-/nowhere}/containerd; fi
    if ! dump=$(inside "$1" "$reader" --config "$config" config dump 2>"$BOX/said"); then fail "$1: containerd refuses its configuration: $(<"$BOX/said")"; return 0; fi
    said=$(grep -i -e 'level=warn' -e 'level=err' -e unknown -e ignoring "$BOX/said" || :)
    # What we say must come back, else containerd read it as something else.
    if [[ -n $said ]]; then fail "$1: containerd complains: $said"
    elif ! grep -q 'SystemdCgroup = true' <<<"$dump"; then fail "$1: containerd does not take SystemdCgroup"
    elif ! grep -E -q "^ *sandbox(_image)? = .$(sed -n 's/^ *sandbox\(_image\)\{0,1\} = .\(.*\).$/\2/p' "$BOX/$1$config").\$" <<<"$dump"; then fail "$1: containerd does not take the sandbox image"
    else pass "$1: $("$reader" --version | cut -d ' ' -f 1-3) takes its configuration"; fi
}

net_up
for path in "$BUNDLES"/*/MANIFEST.json; do
    host=$(basename -- "$(dirname -- "$path")")
    if [[ $host == operator ]]; then continue; fi
    root=$BUNDLES/$host/root
    interface=''
    if [[ -f $root/etc/keepalived/keepalived.conf ]]; then interface=$(sed -n 's/^    interface "\{0,1\}\([^"]*\)"\{0,1\}$/\1/p' "$root/etc/keepalived/keepalived.conf" | head -n 1); fi
    mapfile -t addresses < <(list "$host" addresses | with_length)
    host_up "$host" "${interface:-ens33}" "${addresses[@]}"
    # What comes by hand must be there for systemd's verdict.
    while read -r command; do
        if [[ $command == /usr/local/bin/* ]]; then install -m 0755 /bin/true "$BOX/$host/bin/${command##*/}"; fi
    done < <(list "$host" commands)
    while read -r unit; do
        silent "$host: systemd takes ${unit##*/}" inside "$host" systemd-analyze verify --man=no --recursive-errors=no "$unit"
    done < <(units "$host")
    if [[ -f $root/etc/nginx/nginx.conf ]]; then silent "$host: nginx takes its configuration" inside "$host" nginx -t -q; fi
    if [[ -f $root/etc/keepalived/keepalived.conf ]]; then
        # keepalived 2.2.7 ends itself in a test of scripts that run unprivileged, unless its parent is out of sight.
        silent "$host: keepalived takes its configuration" inside "$host" unshare --pid --fork keepalived -t -f /etc/keepalived/keepalived.conf
    fi
    if [[ -f $root/etc/containerd/config.toml ]]; then containerd_reads "$host"; fi
done
summary

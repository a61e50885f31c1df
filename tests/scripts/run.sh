#!/bin/bash
# run.sh [CASE...]: runs the emitted scripts for real on a made-up bundle, each case in mount, host
# name and network namespaces of its own, where /etc, /usr/local, /var/lib and /var/log are overlays
# that vanish afterwards. systemctl is a stub that records its calls (systemd is not PID 1 here).
# Needs root. KHAGEN_FAULTS=all: what the fault cases thin out to stay within minutes is all done.
# KHAGEN_RAN=FILE: the digests of all scripts that passed cases have executed are added there. Prints "N passed, N failed"; exit 1 if any failed.
set -euo pipefail
SELF=$(readlink -f -- "$0")
TESTS=$(dirname -- "$SELF")
SOURCES=$(readlink -f -- "$TESTS/../../templates/scripts")
# etcd, etcdctl and etcdutl of a version that kubeadm supports
ETCD_BIN=${ETCD_BIN:-$(find "${KHAGEN_ORACLE:-$HOME/.cache/khagen-oracle}" -maxdepth 2 -name etcdutl -printf '%h\n' 2>/dev/null | sort | tail -n 1 || :)}
export ETCD_BIN

if [[ ${1-} != --inside ]]; then
    WORK=$(mktemp -d)
    trap 'rm -rf -- "$WORK"' EXIT
    passed=0 failed=0 missed=0
    outcome() {
        if [[ $2 -eq 0 ]]; then
            passed=$((passed + 1))
            sed -n 's/^FIGURE /    /p' "$WORK/log"
        else
            failed=$((failed + 1))
            printf 'FAILED %s\n' "$1"
            sed 's/^/    /' "$WORK/log" | tail -n 25
        fi
    }
    mkdir "$WORK/ran" "$WORK/scripts" "$WORK/scripts/operator" "$WORK/scripts/etcd" "$WORK/mnt"
    while read -r name; do
        "$TESTS/expand.sh" "$name" >"$WORK/scripts/$name"
        chmod 0755 "$WORK/scripts/$name"
        if [[ $# -gt 0 ]]; then continue; fi
        code=0
        { shellcheck "$WORK/scripts/$name" && bash -n "$WORK/scripts/$name"; } >"$WORK/log" 2>&1 || code=1
        outcome "shellcheck of $name" "$code"
        # every way out is finish; awk programs may end as they like
        code=0
        grep -n -E '(^|[;&|(] *)exit( |$)' "$SOURCES/$name" | grep -v -E '^[0-9]+: *(#|inside)|exit [!}]' >"$WORK/log" && code=1
        outcome "$name ends only through finish" "$code"
    done < <(cd "$SOURCES" && grep -l -r '^# @include prelude.sh' . | sed 's,^\./,,' | sort)
    cases=("$@")
    if [[ $# -eq 0 ]]; then mapfile -t cases < <(sed -n 's/^case_\([a-z0-9_]*\)().*/\1/p' "$TESTS"/cases/*.sh); fi
    # Several at once: many wait for an etcd most of their time. The longest first.
    mapfile -t cases < <(printf '%s\n' "${cases[@]}" | awk '/^faults_.*(install|rollback|uninstall)/ { print 1, $0; next } /^(etcd|faults)_/ { print 2, $0; next } { print 3, $0 }' | sort -s -k 1,1 | cut -d ' ' -f 2)
    started=()
    for name in "${cases[@]}"; do
        if [[ $name == etcd_* && -z $ETCD_BIN ]]; then
            printf 'NOT RUN %s: no etcd, etcdctl, etcdutl found (set ETCD_BIN to their folder)\n' "$name"
            missed=$((missed + 1))
            continue
        fi
        if [[ $name == balancer_* && -z ${KHAGEN_EMITTED-} ]]; then
            printf 'NOT RUN %s: it takes what khagen emits (KHAGEN_EMITTED, as tests/shell.rs sets it)\n' "$name"
            missed=$((missed + 1))
            continue
        fi
        started+=("$name")
        while [[ $(jobs -r -p | wc -l) -ge 6 ]]; do wait -n || :; done
        (unshare --mount --uts --net --pid --fork --kill-child --mount-proc "$SELF" --inside "$WORK" "$name" >"$WORK/log.$name" 2>&1 && echo 0 >"$WORK/code.$name") &
    done
    wait
    for name in "${started[@]}"; do
        cp "$WORK/log.$name" "$WORK/log"
        outcome "$name" "$(cat "$WORK/code.$name" 2>/dev/null || echo 1)"
    done
    if [[ -n ${KHAGEN_RAN-} ]]; then cat "$WORK"/ran/* >>"$KHAGEN_RAN"; fi
    if [[ $missed -gt 0 ]]; then printf '%s NOT RUN, see above\n' "$missed"; fi
    printf '%s passed, %s failed\n' "$passed" "$failed"
    [[ $failed -eq 0 ]]
    exit
fi

# ---- inside the namespaces ----
WORK=$2
BOX=$WORK/mnt
mount -t tmpfs tmpfs "$BOX"
cp -a "$WORK/scripts" "$BOX/scripts"
# the host's disk: a file system of its own, which a case may fill or make read-only
mkdir "$BOX/disk"
mount -t tmpfs tmpfs "$BOX/disk"
ln -s disk/upper "$BOX/upper"
ln -s disk/work "$BOX/work"
lay() {
    mkdir -p "$BOX/disk/upper/$1" "$BOX/disk/work/$1"
    mount -t overlay -o "lowerdir=/$1,upperdir=$BOX/disk/upper/$1,workdir=$BOX/disk/work/$1" overlay "/$1"
}
for dir in etc usr/local var/lib var/log; do lay "$dir"; done
# what stands in for the host's programs is no part of its disk
mkdir "$BOX/sbin"
mount --bind "$BOX/sbin" /usr/local/sbin
# SC1091: the files are beside this one
source "$TESTS/fixture.sh"
source "$TESTS/faults.sh"
for file in "$TESTS"/cases/*.sh; do source "$file"; done
mkdir "$BOX/executed"
cp "$(command -v busybox)" "$BOX/executed/busybox"
export BASH_ENV=$TESTS/record.sh KHAGEN_RAN_IN=$BOX/executed
prepare_host
set -x
"case_$3"
set +x
times >"$BOX/times"
awk -v name="$3" -v wall="$SECONDS" '{ for (i = 1; i <= 2; i++) { split($i, t, "m"); cpu += 60 * t[1] + t[2] } } END { printf "FIGURE %s: %d s, %.1f s of them at work\n", name, wall, cpu }' "$BOX/times"
rm "$BOX/executed/busybox"
# only what a passed case has run
find "$BOX/executed" -type f -exec cat {} + >"$WORK/ran/$3"

#!/bin/bash
# run.sh [CASE...]: runs the emitted scripts for real on a made-up bundle, each case in mount, host
# name and network namespaces of its own, where /etc, /usr/local, /var/lib and /var/log are overlays
# that vanish afterwards. systemctl is a stub that records its calls (systemd is not PID 1 here).
# Needs root. Prints "N passed, N failed"; exit 1 if any failed.
set -euo pipefail
SELF=$(readlink -f -- "$0")
TESTS=$(dirname -- "$SELF")

if [[ ${1-} != --inside ]]; then
    WORK=$(mktemp -d)
    trap 'rm -rf -- "$WORK"' EXIT
    passed=0 failed=0
    outcome() {
        if [[ $2 -eq 0 ]]; then
            passed=$((passed + 1))
        else
            failed=$((failed + 1))
            printf 'FAILED %s\n' "$1"
            sed 's/^/    /' "$WORK/log" | tail -n 40
        fi
    }
    mkdir "$WORK/scripts" "$WORK/mnt"
    for script in "$TESTS"/../../templates/scripts/*; do
        name=$(basename "$script")
        if [[ $(head -c 2 "$script") != '#!' ]]; then continue; fi
        "$TESTS/expand.sh" "$name" >"$WORK/scripts/$name"
        chmod 0755 "$WORK/scripts/$name"
        if [[ $# -gt 0 ]]; then continue; fi
        code=0
        case $(head -n 1 "$script") in
            *bash) { shellcheck "$WORK/scripts/$name" && bash -n "$WORK/scripts/$name"; } >"$WORK/log" 2>&1 || code=1 ;;
            *) { shellcheck -s sh "$WORK/scripts/$name" && dash -n "$WORK/scripts/$name" && busybox sh -n "$WORK/scripts/$name"; } >"$WORK/log" 2>&1 || code=1 ;;
        esac
        outcome "shellcheck of $name" "$code"
        # every way out is finish
        code=0
        grep -n -E '(^|[;&| ])exit( |$)' "$script" | grep -v -E '^[0-9]+:#|awk|exit \}|exit !' >"$WORK/log" && code=1
        if [[ $name == prelude.sh ]]; then code=0; fi
        outcome "$name ends only through finish" "$code"
    done
    cases=("$@")
    if [[ $# -eq 0 ]]; then mapfile -t cases < <(sed -n 's/^case_\([a-z0-9_]*\)().*/\1/p' "$TESTS"/cases/*.sh); fi
    for name in "${cases[@]}"; do
        code=0
        unshare --mount --uts --net --pid --fork --mount-proc "$SELF" --inside "$WORK" "$name" >"$WORK/log" 2>&1 || code=1
        outcome "$name" "$code"
    done
    printf '%s passed, %s failed\n' "$passed" "$failed"
    [[ $failed -eq 0 ]]
    exit
fi

# ---- inside the namespaces ----
WORK=$2
BOX=$WORK/mnt
mount -t tmpfs tmpfs "$BOX"
cp -a "$WORK/scripts" "$BOX/scripts"
for dir in etc usr/local var/lib var/log; do
    mkdir -p "$BOX/upper/$dir" "$BOX/work/$dir"
    mount -t overlay -o "lowerdir=/$dir,upperdir=$BOX/upper/$dir,workdir=$BOX/work/$dir" overlay "/$dir"
done
# SC1091: the files are beside this one
source "$TESTS/fixture.sh"
for file in "$TESTS"/cases/*.sh; do source "$file"; done
prepare_host
set -x
"case_$3"

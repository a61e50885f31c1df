#!/bin/bash
# minors.sh MINOR...: kubeadm and kubeadm-judge of other minors of Kubernetes, built once and cached beside the oracle.
#
# Prints a line for each, `1.37=DIR`. `minors.sh all` builds every minor that a module file is there for. A minor that does
# not build with this Go is said on standard error and left out; the exit code is then 1. Progress goes to standard error.
#
#   KHAGEN_ORACLE_DIR   the cache, default ${XDG_CACHE_HOME:-$HOME/.cache}/khagen-oracle
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
cache=${KHAGEN_ORACLE_DIR:-${XDG_CACHE_HOME:-$HOME/.cache}/khagen-oracle}
mkdir -p "$cache"
say() { printf 'oracle: %s\n' "$*" >&2; }

minors=("$@")
if [ "${1-}" = all ]; then
    minors=()
    for file in "$here"/kubeadm/minors/*.mod; do minors+=("$(basename "$file" .mod)"); done
    minors+=(1.36)
fi

exec 9>"$cache/lock.minors"
flock 9
failed=0
for minor in "${minors[@]}"; do
    file=minors/$minor.mod
    # The oracle's own minor stands in the module's go.mod.
    if [ ! -e "$here/kubeadm/$file" ]; then file=go.mod; fi
    version=$(sed -nE 's|^\t?(require )?k8s.io/kubernetes (v[0-9.]+).*|\2|p' "$here/kubeadm/$file" | head -n 1)
    case $version in
        v$minor.*) ;;
        *)
            say "there is no module file for $minor"
            failed=1
            continue
            ;;
    esac
    key=$(
        cd "$here/kubeadm"
        {
            go version
            cat "$here/minors.sh" "$file" "${file%.mod}.sum"
            find . -type f -name '*.go' -print0 | LC_ALL=C sort -z | xargs -0 cat
        } | sha256sum | cut -c1-16
    )
    bin=$cache/minor-$minor-$key
    if [ ! -d "$bin" ]; then
        rm -rf "$cache/.building-minor".*
        work=$(mktemp -d "$cache/.building-minor.XXXXXX")
        into=k8s.io/component-base/version
        stamp="-X $into.gitVersion=$version -X $into.gitMajor=1 -X $into.gitMinor=${minor#1.} -X $into.gitTreeState=clean"
        say "building kubeadm $version and its judge (once; minutes on a cold machine)"
        if ! (cd "$here/kubeadm" && CGO_ENABLED=0 GOFLAGS="-mod=readonly -trimpath -buildvcs=false" go build -p 2 \
            -tags "k8s${minor/./}" -modfile "$file" -ldflags "-s -w $stamp" -o "$work/" . ./kubeadm-judge) >&2; then
            say "kubeadm $version does not build with $(go version)"
            rm -rf "$work"
            failed=1
            continue
        fi
        chmod 0755 "$work"
        mv "$work" "$bin"
    fi
    printf '%s=%s\n' "$minor" "$bin"
done
exit "$failed"

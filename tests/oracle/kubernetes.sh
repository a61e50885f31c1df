#!/bin/bash
# kubernetes.sh: upstream's own components of a cluster, built once and cached beside the oracle: kube-apiserver,
# kube-controller-manager, kube-scheduler, kubectl and kubelet of the version in kubernetes/go.mod.
#
# Prints one line on standard output, the directory that holds them. Progress goes to standard error.
#
#   KHAGEN_ORACLE_DIR   the cache, default ${XDG_CACHE_HOME:-$HOME/.cache}/khagen-oracle
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
cache=${KHAGEN_ORACLE_DIR:-${XDG_CACHE_HOME:-$HOME/.cache}/khagen-oracle}
say() { printf 'oracle: %s\n' "$*" >&2; }

command -v go >/dev/null || {
    say "go is not installed; see README.md for the version"
    exit 1
}

# Nothing here is ours: the modules, the compiler and this script (its flags) are all that the result depends on.
key=$({
    go version
    cat "$here/kubernetes.sh" "$here/kubernetes/go.mod" "$here/kubernetes/go.sum"
} | sha256sum | cut -c1-16)
bin=$cache/kubernetes-$key
mkdir -p "$cache"

# A lock of its own: who wants only kubeadm does not wait for these.
exec 9>"$cache/lock.kubernetes"
flock 9

if [ ! -d "$bin" ]; then
    started=$SECONDS
    rm -rf "$cache"/.building-kubernetes.*
    work=$(mktemp -d "$cache/.building-kubernetes.XXXXXX")
    trap 'rm -rf "$work"' EXIT
    cd "$here/kubernetes"
    version=$(go list -mod=readonly -m -f '{{.Version}}' k8s.io/kubernetes)
    minor=${version#v1.}
    into=k8s.io/component-base/version
    stamp="-X $into.gitVersion=$version -X $into.gitMajor=1 -X $into.gitMinor=${minor%%.*} -X $into.gitTreeState=clean"
    # Each by itself: linking two of these at once wants more memory than a small machine has.
    for program in kube-apiserver kube-controller-manager kube-scheduler kubectl kubelet; do
        say "building $program $version (once; minutes on a cold machine)"
        CGO_ENABLED=0 GOFLAGS="-mod=readonly -trimpath -buildvcs=false" \
            go build -p 2 -ldflags "-s -w $stamp" -o "$work/" "k8s.io/kubernetes/cmd/$program"
    done
    chmod 0755 "$work"
    # A rename, so that the directory is there whole or not at all.
    mv "$work" "$bin"
    trap - EXIT
    say "built in $((SECONDS - started)) s"
fi

printf '%s\n' "$bin"

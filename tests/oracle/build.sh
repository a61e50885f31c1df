#!/bin/bash
# Builds the oracle: the upstream programs that the tests ask, and kubeadm-judge.
#
# Prints one line on standard output, the directory that holds kubeadm, kubeadm-judge, etcd,
# etcdctl, etcdutl and containerd. The directory's name is a digest of everything the result depends on, so a
# second call only looks, and two checkouts with different pins do not disturb each other. Several
# calls at once build once. Progress goes to standard error.
#
#   KHAGEN_ORACLE_DIR   the cache, default ${XDG_CACHE_HOME:-$HOME/.cache}/khagen-oracle
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
cache=${KHAGEN_ORACLE_DIR:-${XDG_CACHE_HOME:-$HOME/.cache}/khagen-oracle}

say() { printf 'oracle: %s\n' "$*" >&2; }

command -v go >/dev/null || {
    say "go is not installed; Debian's golang may be too old, see README.md for the version"
    exit 1
}

# Module files, sources, this script (its flags) and the compiler make the key.
key=$(
    cd "$here"
    {
        go version
        find . -type f \( -name '*.go' -o -name 'go.mod' -o -name 'go.sum' -o -name build.sh \) -print0 |
            LC_ALL=C sort -z | xargs -0 sha256sum
    } | sha256sum | cut -c1-16
)
bin=$cache/$key
mkdir -p "$cache"

# The lock is held while building; who waited for it finds the work done.
exec 9>"$cache/lock"
flock 9

if [ ! -d "$bin" ]; then
    started=$SECONDS
    # Under the lock nobody else builds, so what is there was left by a build that was killed.
    rm -rf "$cache"/.building.*
    work=$(mktemp -d "$cache/.building.XXXXXX")
    trap 'rm -rf "$work"' EXIT

    # kubeadm compares versions with its own, which upstream's release build puts in by the linker.
    version=$(cd "$here/kubeadm" && go list -mod=readonly -m -f '{{.Version}}' k8s.io/kubernetes)
    minor=${version#v1.}
    minor=${minor%%.*}
    into=k8s.io/component-base/version
    stamp="-X $into.gitVersion=$version -X $into.gitMajor=1 -X $into.gitMinor=$minor"
    stamp="$stamp -X $into.gitTreeState=clean"

    export CGO_ENABLED=0 GOFLAGS="-mod=readonly -trimpath -buildvcs=false"
    say "building kubeadm $version and kubeadm-judge (once; minutes on a cold machine)"
    (cd "$here/kubeadm" && go build -p 2 -ldflags "-s -w $stamp" -o "$work/" . ./kubeadm-judge)
    say "building etcd $(cd "$here/etcd" && go list -m -f '{{.Version}}' go.etcd.io/etcd/server/v3)"
    (cd "$here/etcd" && go build -p 2 -ldflags "-s -w" -o "$work/" ./etcd ./etcdctl ./etcdutl)
    say "building containerd $(cd "$here/containerd" && go list -m -f '{{.Version}}' github.com/containerd/containerd/v2)"
    (cd "$here/containerd" && go build -p 2 -ldflags "-s -w" -o "$work/" .)

    chmod 0755 "$work"
    # A rename, so that the directory is there whole or not at all.
    mv "$work" "$bin"
    trap - EXIT
    say "built in $((SECONDS - started)) s"
fi

printf '%s\n' "$bin"

#!/bin/bash
# etcd-lines.sh LINE...: etcd, etcdctl and etcdutl of other lines than the oracle's, built once and cached beside it.
#
# Prints a line for each, `3.7=DIR`; `etcd-lines.sh all` takes every line that a module file is there for. Progress goes to
# standard error.
#
#   KHAGEN_ORACLE_DIR   the cache, default ${XDG_CACHE_HOME:-$HOME/.cache}/khagen-oracle
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)/etcd
cache=${KHAGEN_ORACLE_DIR:-${XDG_CACHE_HOME:-$HOME/.cache}/khagen-oracle}
mkdir -p "$cache"
say() { printf 'oracle: %s\n' "$*" >&2; }

lines=("$@")
if [ "${1-}" = all ]; then
    lines=()
    for file in "$here"/lines/*.mod; do lines+=("$(basename "$file" .mod)"); done
fi

exec 9>"$cache/lock.lines"
flock 9
cd "$here"
export CGO_ENABLED=0 GOFLAGS="-mod=readonly -trimpath -buildvcs=false"
for line in "${lines[@]}"; do
    file=lines/$line.mod
    if [ ! -e "$file" ]; then
        say "there is no module file for etcd $line"
        exit 1
    fi
    key=$(
        {
            go version
            cat "$here/../etcd-lines.sh" "$file" "${file%.mod}.sum"
            find . -type f -name '*.go' -print0 | LC_ALL=C sort -z | xargs -0 cat
        } | sha256sum | cut -c1-16
    )
    bin=$cache/etcd-$line-$key
    if [ ! -d "$bin" ]; then
        rm -rf "$cache/.building-etcd".*
        work=$(mktemp -d "$cache/.building-etcd.XXXXXX")
        say "building etcd $(go list -m -modfile "$file" -f '{{.Version}}' go.etcd.io/etcd/server/v3)"
        go build -p 2 -modfile "$file" -tags "etcd${line/./}" -ldflags "-s -w" -o "$work/" ./etcd ./etcdctl ./etcdutl
        chmod 0755 "$work"
        mv "$work" "$bin"
    fi
    printf '%s=%s\n' "$line" "$bin"
done

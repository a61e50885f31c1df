#!/bin/bash
# image.sh TARBALL NAME PROGRAM: an image that is one static program, as a tarball that `ctr images import` takes.
set -euo pipefail
TARBALL=$(realpath -m -- "$1")
NAME=$2
PROGRAM=$3

work=$(mktemp -d "$TARBALL.XXXXXX")
trap 'rm -rf -- "$work"' EXIT
mkdir -p "$work/layer/usr/local/bin" "$work/image"
install -m 0755 "$PROGRAM" "$work/layer/usr/local/bin/"
program=/usr/local/bin/$(basename "$PROGRAM")
tar -C "$work/layer" --sort=name --owner=0 --group=0 --mtime=@0 -cf "$work/image/layer.tar" .
rm -rf -- "$work/layer"
digest=$(sha256sum <"$work/image/layer.tar" | cut -d ' ' -f 1)
printf '{"architecture":"%s","os":"linux","config":{"Entrypoint":["%s"],"Env":["PATH=/usr/local/bin"]},"rootfs":{"type":"layers","diff_ids":["sha256:%s"]}}' \
    "$(go env GOARCH)" "$program" "$digest" >"$work/image/config.json"
printf '[{"Config":"config.json","RepoTags":["%s"],"Layers":["layer.tar"]}]' "$NAME" >"$work/image/manifest.json"
tar -C "$work/image" -cf "$TARBALL" manifest.json config.json layer.tar

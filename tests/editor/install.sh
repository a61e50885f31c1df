#!/bin/bash
# Installs the language servers that tests/editor asks, at the versions of package-lock.json.
#
# Prints one line on standard output, the directory that holds node_modules. Its name is a digest of what it is made
# from, so a second call only looks. Packages' own install scripts are not run. Progress goes to standard error.
#
#   KHAGEN_EDITOR_DIR   the cache, default ${XDG_CACHE_HOME:-$HOME/.cache}/khagen-editor
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
cache=${KHAGEN_EDITOR_DIR:-${XDG_CACHE_HOME:-$HOME/.cache}/khagen-editor}

key=$(cd "$here" && sha256sum package.json package-lock.json install.sh | sha256sum | cut -c1-16)
ready=$cache/$key
mkdir -p "$cache"

# The lock is held while installing; who waited for it finds the work done.
exec 9>"$cache/lock"
flock 9

if [ ! -d "$ready" ]; then
    printf 'editor: installing yaml-language-server and taplo\n' >&2
    # Under the lock nobody else installs, so what is there was left by an installation that was killed.
    rm -rf "$cache"/partial.*
    partial=$(mktemp -d "$cache/partial.XXXXXX")
    cp "$here/package.json" "$here/package-lock.json" "$partial/"
    (cd "$partial" && npm ci --ignore-scripts --no-audit --no-fund --no-update-notifier >&2)
    mv "$partial" "$ready"
fi
printf '%s\n' "$ready"

#!/bin/bash
# Runs inside a host of net.sh, with its MANIFEST.json as the argument: what install.sh does between laying files and starting
# units, in short. A host without a bundle is left alone.
set -euo pipefail
if [[ ! -f $1 ]]; then exit 0; fi
systemd-sysusers 2>/dev/null
# Entries of the manifest are one to a line, keys in fixed order.
sed -n 's/^{"path": "\([^"]*\)", "mode": "\([0-7]*\)", "owner": "\([^"]*\)", "group": "\([^"]*\)".*/\1 \2 \3 \4/p' "$1" |
    while read -r path mode owner group; do
        case $path in
            /etc/hosts) continue ;;
            /etc/* | /usr/local/sbin/*) if [[ ! -e $path ]]; then mkdir -p "$path"; fi ;;
            *) mkdir -p "$path" ;;
        esac
        chown "$owner:$group" "$path"
        chmod "$mode" "$path"
    done
for file in /etc/tmpfiles.d/khagen*.conf; do
    if [[ -f $file ]]; then systemd-tmpfiles --create "$file"; fi
done

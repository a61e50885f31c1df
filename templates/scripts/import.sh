#!/bin/sh
# Usage: sh import.sh [--host NAME]... TARGET
#
# Run from the medium that `khagen export` wrote (which may be read-only, and need not be executable): checks every
# file on it against the list FILES.txt, joins what was split, and makes the folder TARGET, with the modes that
# files with keys must have. TARGET is made only when everything is whole; an earlier import there is replaced.
#
#   --host NAME   only this host's bundle (FQDN or short name), and all that travels beside bundles
#
# Exit codes: 0 done, 1 error, 4 the medium is damaged (what is, is named), 6 a precondition is not met (TARGET
# holds something else, room, no such host), 64 usage.
set -eu
umask 077
PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
LC_ALL=C
export PATH LC_ALL
ME=import.sh
FINISHED=''
NEW=''
TAB=$(printf '\t')
NEWLINE='
'

say() { printf '%s: %s\n' "$ME" "$*" >&2; }
# finish CODE [REASON]: the only way out.
finish() {
    if [ $# -gt 1 ]; then say "$2"; fi
    FINISHED=yes
    # Always true; without the question shellcheck takes what only a trap calls for dead code.
    if [ -n "$FINISHED" ]; then exit "$1"; fi
}
ended() {
    if [ -n "$NEW" ]; then rm -rf -- "$NEW"; fi
    if [ -z "$FINISHED" ]; then
        printf '%s: ended early\n' "$ME" >&2
        exit 1
    fi
}
trap ended EXIT
trap 'exit 1' HUP INT TERM
usage() { sed -n -e '1d' -e '/^#/!q' -e 's/^# \{0,1\}//p' "$HERE/import.sh"; }

case $0 in */*) HERE=${0%/*} ;; *) HERE=. ;; esac
HERE=$(cd -- "$HERE/" && pwd -P)
LIST=$HERE/FILES.txt
MARK=.khagen-import

# digest FILE: sets DIGEST; empty where the file cannot be read to its end, which sha256sum says with 1.
digest() {
    code=0
    DIGEST=$(sha256sum <"$1" 2>/dev/null) || code=$?
    if [ "$code" -gt 1 ]; then finish 1 "sha256sum ended with $code"; fi
    if [ "$code" -eq 1 ]; then DIGEST=''; fi
    DIGEST=${DIGEST%% *}
}

check_list() {
    if [ ! -f "$LIST" ]; then finish 6 "there is no FILES.txt beside this script: the export was not finished, run khagen export again"; fi
    code=0
    text=$(cat -- "$LIST") || code=$?
    case $code in 0) ;; 1) finish 4 "FILES.txt cannot be read" ;; *) finish 1 "cat ended with $code" ;; esac
    first=${text%%"$NEWLINE"*}
    if [ "$first" != "# khagen-export${TAB}v1" ]; then finish 4 "FILES.txt is damaged, or no list that this script knows"; fi
    last=${text##*"$NEWLINE"}
    sum=$(printf '%s\n' "${text%"$NEWLINE"*}" | sha256sum) || finish 1 "sha256sum failed"
    if [ "$last" != "end${TAB}${sum%% *}" ]; then finish 4 "FILES.txt is damaged: export anew"; fi
}

# wanted PATH: does --host ask for it?
wanted() {
    if [ -z "$ONLY" ]; then return 0; fi
    case $1 in bundles/*.tar.gz | */bundles/*.tar.gz) ;; *) return 0 ;; esac
    name=${1##*/}
    name=${name%.tar.gz}
    for only in $ONLY; do
        if [ "$name" = "$only" ] || [ "${name%%.*}" = "$only" ]; then return 0; fi
    done
    return 1
}

check_room() {
    need=$(awk -F "$TAB" '$1 == "part" { sum += $2 } END { printf "%d\n", sum / 1024 + 1024 }' "$LIST")
    free=$(df -P -k "$1")
    free=$(printf '%s\n' "$free" | awk 'NR == 2 { print $4 }')
    if [ "$free" -lt "$need" ]; then finish 6 "the file system of $1 has $free KiB free; this needs $need KiB"; fi
}

# Joins the parts of every file; a file that is not what the list says has its damaged parts named.
join() {
    bad=''
    keep=''
    while IFS="$TAB" read -r kind a b c; do
        case $kind in
            file)
                # mode, path
                keep=''
                if ! wanted "$b"; then continue; fi
                keep=$b
                case $b in *..* | /* | '') finish 4 "FILES.txt names a path that is none: $b" ;; esac
                mkdir -p -- "$NEW/$b"
                rmdir -- "$NEW/$b"
                : >"$NEW/$b"
                chmod "$a" "$NEW/$b" ;;
            part)
                # size, digest, name on the medium
                if [ -z "$keep" ]; then continue; fi
                if [ ! -f "$HERE/$c" ]; then
                    say "$c is missing"
                    bad=yes
                    continue
                fi
                if ! cat -- "$HERE/$c" >>"$NEW/$keep"; then
                    digest "$HERE/$c"
                    if [ "$DIGEST" = "$b" ]; then finish 1 "cannot write $keep of $a bytes below $NEW: is the disk full?"; fi
                fi ;;
            whole)
                # digest, size
                if [ -z "$keep" ]; then continue; fi
                digest "$NEW/$keep"
                if [ "$DIGEST" != "$a" ]; then
                    bad=yes
                    say "$keep is damaged"
                    name_damaged "$keep"
                fi ;;
        esac
    done <"$LIST"
    if [ -n "$bad" ]; then finish 4 "the medium does not hold what was exported: nothing was made of it. Export anew, best on another medium"; fi
}
# name_damaged PATH: which of its parts are not whole.
name_damaged() {
    inside=''
    while IFS="$TAB" read -r one two three four; do
        case $one in
            file) inside=''; if [ "$three" = "$1" ]; then inside=yes; fi ;;
            part)
                if [ -z "$inside" ]; then continue; fi
                digest "$HERE/$four"
                if [ "$DIGEST" != "$three" ]; then say "  on the medium: $four (of $two bytes)"; fi ;;
        esac
    done <"$LIST"
}

main() {
    ONLY=''
    target=''
    while [ $# -gt 0 ]; do
        case $1 in
            --host)
                case ${2-} in '' | -* | *[!A-Za-z0-9.-]*) finish 64 "--host needs a name" ;; esac
                ONLY="$ONLY $2"; shift ;;
            --help | -h) usage; finish 0 ;;
            -*) usage >&2; finish 64 ;;
            *) if [ -n "$target" ]; then usage >&2; finish 64; fi
                target=$1 ;;
        esac
        shift
    done
    if [ -z "$target" ]; then usage >&2; finish 64; fi
    while [ "$target" != / ] && [ "$target" != "${target%/}" ]; do target=${target%/}; done
    case $target in */*) parent=${target%/*} ;; *) parent=. ;; esac
    parent=$(cd -- "${parent:-/}/" 2>/dev/null && pwd -P) || finish 6 "the folder that is to hold $target is not there"
    target=${parent%/}/${target##*/}
    if [ -L "$target" ] || { [ -e "$target" ] && [ ! -d "$target" ]; }; then finish 6 "$target is there and no folder"; fi
    if [ -d "$target" ] && [ ! -f "$target/$MARK" ]; then
        held=$(ls -A -- "$target") || finish 1 "cannot look into $target"
        if [ -n "$held" ]; then finish 6 "$target holds something that is no import: name another folder"; fi
    fi
    check_list
    for only in $ONLY; do
        found=''
        while IFS="$TAB" read -r kind _ path; do
            if [ "$kind" != file ]; then continue; fi
            case $path in
                bundles/"$only".tar.gz | */bundles/"$only".tar.gz | bundles/"$only".*.tar.gz | */bundles/"$only".*.tar.gz) found=yes ;;
            esac
        done <"$LIST"
        if [ -z "$found" ]; then finish 6 "no bundle on this medium is of $only"; fi
    done
    check_room "$parent"
    rm -rf -- "$target.khagen-new"
    NEW=$target.khagen-new
    mkdir -- "$NEW"
    join
    cp -- "$LIST" "$NEW/$MARK"
    sync
    if [ -d "$target" ]; then
        rm -rf -- "$target.khagen-old"
        mv -- "$target" "$target.khagen-old"
    fi
    mv -- "$NEW" "$target"
    NEW=''
    rm -rf -- "$target.khagen-old"
    finish 0 "everything is whole, and in $target. It holds private keys. Next: read $target/README.md"
}

main "$@"

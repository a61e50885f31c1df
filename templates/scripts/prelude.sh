# ---- prelude: the same lines at the head of every script khagen emits ----
# A script ends only through finish, with one of these codes:
#   0 done, or nothing to do     1 error                    2 a dry run found changes
#   4 damaged bundle or file     5 wrong host, cluster, generation
#   6 a precondition is not met  64 usage
# The trap turns every other end into 1, so that no tool's own code is taken for one of these.
set -Eeuo pipefail
shopt -s inherit_errexit    # what fails inside $( ) fails
umask 077
PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
LC_ALL=C
export PATH LC_ALL
ME=${0##*/}
HERE=.
case $0 in */*) HERE=${0%/*}/ ;; esac
HERE=$(cd -- "$HERE" && pwd -P)
MANIFEST=$HERE/MANIFEST.json
LOG=''      # set by scripts that keep a log; it gets what say and result get, never a secret
UNDO=''     # a function that puts things back when the script ends early
FINISHED=''

# finish CODE [REASON]: the only way out.
finish() {
    if [[ $# -gt 1 ]]; then say "$2"; fi
    FINISHED=yes
    # Always true; without the question shellcheck takes what only a trap calls for dead code.
    if [[ -n $FINISHED ]]; then exit "$1"; fi
}

ended() {
    local undo=$UNDO
    UNDO=''
    if [[ -n $undo ]]; then "$undo" || :; fi
    if [[ -z $FINISHED ]]; then
        printf '%s: ended early\n' "$ME" >&2
        exit 1
    fi
}
trap ended EXIT
trap 'say "failed at line $LINENO: ${BASH_COMMAND%%[[:space:]]*}"' ERR
trap 'exit 1' HUP INT TERM

logged() { if [[ -n $LOG ]]; then TZ=UTC0 printf '%(%FT%TZ)T %s: %s\n' -1 "$ME" "$1" >>"$LOG" || :; fi; }
# say goes to the person (standard error), result is what was asked for (standard output).
say() { printf '%s: %s\n' "$ME" "$*" >&2; logged "$*"; }
result() { printf '%s\n' "$*"; logged "$*"; }

# field KEY, list KEY, entries SECTION KEY...: read MANIFEST.json, which khagen writes one entry a line.
field() {
    local line value
    while IFS= read -r line; do
        if [[ $line != "\"$1\": "* ]]; then continue; fi
        value=${line#*: }
        value=${value%,}
        if [[ $value == '"'*'"' ]]; then value=${value#'"'} value=${value%'"'}; elif [[ $value == *[!0-9a-z]* ]]; then value=''; fi
        printf '%s' "$value"
        break
    done <"$MANIFEST"
}
list() {
    local line value values
    while IFS= read -r line; do
        if [[ $line != "\"$1\": ["*']'* ]]; then continue; fi
        line=${line#*: [}
        IFS=, read -r -a values <<<"${line%]*}"
        for value in "${values[@]}"; do
            value=${value#*'"'}
            printf '%s\n' "${value%'"'*}"
        done
        break
    done <"$MANIFEST"
}
# Prints one line an entry, the values separated by "|" (which no value contains), lists by blanks.
entries() {
    awk -v section="$1" -v keys="${*:2}" '
        function value(key,    at, rest) {
            at = index($0, "\"" key "\": ")
            if (!at) return ""
            rest = substr($0, at + length(key) + 4)
            if (rest ~ /^"/) { rest = substr(rest, 2); sub(/".*/, "", rest) }
            else if (rest ~ /^\[/) { sub(/\].*/, "", rest); gsub(/[]["]/, "", rest); gsub(/, */, " ", rest) }
            else sub(/[,}].*/, "", rest)
            return rest
        }
        $0 == "\"" section "\": [" { inside = 1; next }
        inside && /^\]/ { exit }
        inside {
            count = split(keys, key, " ")
            line = value(key[1])
            for (i = 2; i <= count; i++) line = line "|" value(key[i])
            print line
        }' "$MANIFEST"
}

# lines ARRAY COMMAND...: the command's output, one line an element. Its failure is ours, which that of <(COMMAND) is not.
lines() {
    local lines_text
    lines_text=$("${@:2}") || return 1
    mapfile -t "$1" < <(if [[ -n $lines_text ]]; then printf '%s\n' "$lines_text"; fi)
}
# has LIST VALUE: is VALUE one of the manifest's LIST?
has() {
    local values
    values=$(list "$1") || finish 1
    [[ $'\n'$values$'\n' == *$'\n'"$2"$'\n'* ]]
}
need_root() { if [[ $EUID -ne 0 ]]; then finish 6 "this needs root: run it with sudo"; fi; }
# show_usage: the comment block at the head of the script.
show_usage() { sed -n -e '1d' -e '/^#/!q' -e 's/^# \{0,1\}//p' "$0"; }
# ---- end of the prelude ----

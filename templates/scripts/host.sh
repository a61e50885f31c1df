# ---- host: what the scripts of one host share: state, comparison, backup and putting back ----
STATE=/var/lib/khagen               # receipt.json, installed/, backups/, pending, lock
LOGS=/var/log/khagen
RECEIPT=$STATE/receipt.json
PENDING=$STATE/pending              # exists exactly while a host is between old and new; names the backup

open_log() {
    mkdir -p -- "$LOGS"
    LOG=$LOGS/${ME%.sh}.log
}
# One script at a time. The lock is not taken in a dry run, which writes nothing.
take_lock() {
    mkdir -p -- "$STATE/backups"
    # others may pass through (etcd to its snapshots), but not look around; what is in it is 0700 or 0600
    if [[ $(stat -c %a -- "$STATE") == 700 ]]; then chmod 0711 -- "$STATE"; fi
    exec 9>>"$STATE/lock"
    flock -n 9 || finish 6 "another khagen script is at work on this host: wait until it ends"
}
receipt() { if [[ -f $RECEIPT ]]; then MANIFEST=$RECEIPT field "$1"; fi; }
digest() { local sum; sum=$(sha256sum -- "$1"); printf '%s' "${sum%% *}"; }
there() { [[ -e $1 || -L $1 ]]; }
aside_of() { printf '%s/.%s.khagen-new' "${1%/*}" "${1##*/}"; }

# tool NAME: the command by the path that the manifest gives it, if it gives one.
tool() {
    local found
    found=$(list commands | grep -e "/$1\$" || :)
    printf '%s' "${found:-$1}"
}

unit_enabled() {
    case $(systemctl is-enabled "$1" 2>/dev/null || :) in
        enabled | enabled-runtime | static | alias | indirect | generated) return 0 ;;
    esac
    return 1
}
unit_running() {
    case $(systemctl is-active "$1" 2>/dev/null || :) in
        active | activating | reloading) return 0 ;;
    esac
    return 1
}
# etcd notifies systemd only once a majority is up; waiting for it would hang a founding member.
unit_do() {
    if [[ $2 == etcd.service ]]; then systemctl --no-block "$1" "$2"; else systemctl "$1" "$2"; fi
}

# restore NAME: the host as backup NAME found it. Each step may be repeated, so an interrupted
# restore is finished by another one.
restore() {
    local saved=$STATE/backups/$1 kind path a b c bad=''
    [[ -f $saved/INDEX ]] || return 1
    while IFS='|' read -r kind path a b c; do
        if [[ $kind != unit ]]; then continue; fi
        # a: enabled before, b: running before, c: what the install did to it
        if [[ $a == no ]] && unit_enabled "$path"; then systemctl disable "$path" || bad=yes; fi
        if [[ $b == no ]] && unit_running "$path"; then systemctl stop "$path" || bad=yes; fi
    done <"$saved/INDEX"
    while IFS='|' read -r kind path a b c; do
        case $kind in
            file)
                rm -f -- "$(aside_of "$path")"
                mkdir -p -- "${path%/*}"
                { cp -a -- "$saved/files$path" "$(aside_of "$path")" &&
                    mv -f -T -- "$(aside_of "$path")" "$path"; } || bad=yes ;;
            none)
                rm -f -- "$(aside_of "$path")" "$path" || bad=yes ;;
            dir)
                mkdir -p -- "$path"
                { chown -- "$b:$c" "$path" && chmod -- "$a" "$path"; } || bad=yes ;;
        esac
    done <"$saved/INDEX"
    # Folders that the install made go again, deepest first, if nothing else lives in them.
    while IFS='|' read -r kind path a b c; do
        if [[ $kind == nodir && -d $path ]]; then rmdir -- "$path" 2>/dev/null || say "kept $path: it is not empty"; fi
    done < <(sort -r -t '|' -k 2,2 -- "$saved/INDEX")
    systemctl daemon-reload || bad=yes
    while IFS='|' read -r kind path a b c; do
        if [[ $kind != unit ]]; then continue; fi
        if [[ $a == yes ]] && ! unit_enabled "$path"; then systemctl enable "$path" || bad=yes; fi
        if [[ $b == yes ]]; then
            if ! unit_running "$path"; then
                unit_do start "$path" || bad=yes
            elif [[ $c == restart || $c == reload ]]; then
                unit_do "$c" "$path" || bad=yes
            fi
        fi
    done <"$saved/INDEX"
    if [[ -n $bad ]]; then return 1; fi
    rm -rf -- "$STATE/installed.new" "$STATE/installed" "$RECEIPT"
    if [[ -d $saved/installed ]]; then cp -a -- "$saved/installed" "$STATE/installed" || bad=yes; fi
    if [[ -f $saved/receipt.json ]]; then cp -a -- "$saved/receipt.json" "$RECEIPT" || bad=yes; fi
    sync
    if [[ -n $bad ]]; then return 1; fi
}

# mark_pending NAME: from here until PENDING goes, the host is between old and new.
mark_pending() {
    printf '%s\n' "$1" >"$PENDING.new"
    sync -- "$PENDING.new"
    mv -f -T -- "$PENDING.new" "$PENDING"
    sync -f -- "$STATE"
}

# put_back NAME: restore, then forget the backup (the host is now what it held).
put_back() {
    mark_pending "$1"
    if ! restore "$1"; then
        say "PUTTING BACK IS NOT COMPLETE. Cure what is named above, then finish with: $HERE/rollback.sh --resume"
        return 1
    fi
    rm -f -- "$PENDING"
    rm -rf -- "$STATE/backups/$1"
}

# A run that was killed left PENDING; the host goes back to the old state before anything else.
recover() {
    local name
    if [[ ! -f $PENDING ]]; then return 0; fi
    name=$(<"$PENDING")
    if [[ -z $name || ! -f $STATE/backups/$name/INDEX ]]; then
        rm -f -- "$PENDING"     # killed before anything was changed
        return 0
    fi
    say "an earlier run was cut off; putting back what was there before it"
    put_back "$name" || finish 1
}

# Is this the host that the bundle was made for?
check_host() {
    local here address addresses
    here=$(uname -n)
    here=${here,,}
    if [[ $here != "$(field host)" && $here != "$(field name)" ]]; then
        finish 5 "this bundle is for $(field host); this host calls itself $here"
    fi
    addresses=$(ip -o addr show | awk '{ sub(/\/.*/, "", $4); print $4 }')
    while read -r address; do
        if grep -Fx -e "$address" >/dev/null <<<"$addresses"; then return 0; fi
    done < <(list addresses)
    finish 5 "none of the bundle's addresses ($(list addresses | paste -s -d ' ')) is on an interface of this host"
}
# ---- end of host ----

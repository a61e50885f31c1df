# ---- host: what the scripts of one host share: state, comparison, backup and putting back ----
STATE=/var/lib/khagen               # receipt.json, installed/, backups/, pending, lock
LOGS=/var/log/khagen
RECEIPT=$STATE/receipt.json
PENDING=$STATE/pending              # exists exactly while a host is between old and new; names the backup
MOVING=$STATE/moving                # exists while etcd's data is on its way aside: "from|to"

open_log() {
    mkdir -p -- "$LOGS"
    LOG=$LOGS/${ME%.sh}.log
}
# One script at a time. The lock is not taken in a dry run, which writes nothing.
take_lock() {
    local mode code=0
    if ! mkdir -p -- "$STATE/backups" || ! : 2>/dev/null >>"$STATE/lock"; then
        finish 1 "cannot write to $STATE (is the file system full, or read-only?); nothing was changed"
    fi
    # others may pass through (etcd to its snapshots), but not look around; what is in it is 0700 or 0600
    mode=$(stat -c %a -- "$STATE")
    if [[ $mode == 700 ]]; then chmod 0711 -- "$STATE"; fi
    exec 9>>"$STATE/lock"
    flock -n 9 || code=$?
    case $code in
        0) ;;
        1) finish 6 "another khagen script is at work on this host: wait until it ends" ;;
        *) finish 1 "flock ended with $code" ;;
    esac
}
receipt() { if [[ -f $RECEIPT ]]; then MANIFEST=$RECEIPT field "$1"; fi; }
# digest FILE: sets DIGEST.
digest() {
    DIGEST=$(sha256sum -- "$1") || return 1
    DIGEST=${DIGEST%% *}
}
# The file that says that this node has been set up. Where khagen issues kubelet.conf, it is there before.
node_mark() { if [[ $(field kubeletCredentials) == issued ]]; then printf '/var/lib/kubelet/config.yaml'; else printf '/etc/kubernetes/kubelet.conf'; fi; }
there() { [[ -e $1 || -L $1 ]]; }
aside_of() { printf '%s/.%s.khagen-new' "${1%/*}" "${1##*/}"; }

# tool NAME: the command by the path that the manifest gives it, if it gives one.
tool() {
    local found
    found=$(list commands)
    while read -r found; do
        if [[ $found == */"$1" ]]; then printf '%s' "$found"; return 0; fi
    done <<<"$found"
    printf '%s' "$1"
}

# unit_state UNIT: sets ENABLED and RUNNING to yes or no, FAILED to yes if it is in that state. What systemctl says decides, its
# codes mean too many things.
unit_state() {
    local said code=0
    ENABLED=no RUNNING=no FAILED=no
    said=$(systemctl is-enabled "$1" 2>/dev/null) || code=$?
    case $said in
        enabled | enabled-runtime | static | alias | indirect | generated) ENABLED=yes ;;
        # it says nothing of a unit that is not there; silence alone does not tell that from a failure
        '')
            said=$(systemctl show -p LoadState --value "$1") || said=''
            if [[ $said != not-found ]]; then say "systemctl does not say whether $1 is enabled (it ended with $code)"; return 1; fi ;;
    esac
    code=0
    said=$(systemctl is-active "$1" 2>/dev/null) || code=$?
    case $said in
        active | activating | reloading) RUNNING=yes ;;
        failed) FAILED=yes ;;
        '') say "systemctl does not say whether $1 is active (it ended with $code)"; return 1 ;;
    esac
}
# unit_begin UNIT: starts it anew, also one that systemd has given up.
unit_begin() {
    unit_state "$1" || return 1
    if [[ $FAILED == yes ]]; then systemctl reset-failed "$1" || return 1; fi
    unit_do start "$1"
}
unit_enabled() { unit_state "$1" || finish 1; [[ $ENABLED == yes ]]; }
unit_running() { unit_state "$1" || finish 1; [[ $RUNNING == yes ]]; }
# etcd notifies systemd only once a majority is up; waiting for it would hang a founding member.
unit_do() {
    if [[ $2 == etcd.service ]]; then systemctl --no-block "$1" "$2"; else systemctl "$1" "$2"; fi
}

# put_file SAVED PATH: the saved file with all it had, renamed over PATH. On the same file system it needs no room.
put_file() {
    local aside code=0
    aside=$(aside_of "$2")
    if there "$aside"; then rm -f -- "$aside" || return 1; fi
    if [[ ! -d ${2%/*} ]]; then mkdir -p -- "${2%/*}" || return 1; fi
    if [[ ! -L $1 && ! -L $2 && $1 -ef $2 ]]; then return 0; fi
    cp -a -l -T -- "$1" "$aside" 2>/dev/null || code=$?
    case $code in
        0) ;;
        # 1: another file system
        1) { rm -f -- "$aside" && cp -a -T -- "$1" "$aside"; } || return 1 ;;
        *) say "cp ended with $code"; return 1 ;;
    esac
    mv -f -T -- "$aside" "$2"
}

# restore NAME: the host as backup NAME found it. Each step may be repeated, so an interrupted
# restore is finished by another one.
restore() {
    local saved=$STATE/backups/$1 kind path a b c bad='' made=()
    [[ -f $saved/INDEX ]] || return 1
    while IFS='|' read -r kind path a b c; do
        if [[ $kind != unit ]]; then continue; fi
        # a: enabled before, b: running before, c: what the install did to it
        unit_state "$path" || bad=yes
        if [[ $a == no && $ENABLED == yes ]]; then systemctl disable "$path" || bad=yes; fi
        if [[ $b == no && $RUNNING == yes ]]; then systemctl stop "$path" || bad=yes; fi
    done <"$saved/INDEX"
    while IFS='|' read -r kind path a b c; do
        case $kind in
            file)
                put_file "$saved/files$path" "$path" || bad=yes ;;
            none)
                rm -f -- "$(aside_of "$path")" "$path" || bad=yes ;;
            dir)
                { mkdir -p -- "$path" && chown -- "$b:$c" "$path" && chmod -- "$a" "$path"; } || bad=yes ;;
            nodir) made+=("$path") ;;
        esac
    done <"$saved/INDEX"
    # Folders that the install made go again, deepest first, if nothing else lives in them.
    if [[ ${#made[@]} -gt 0 ]]; then
        lines made deepest_first "${made[@]}" || bad=yes
        for path in "${made[@]}"; do
            if [[ ! -d $path ]]; then continue; fi
            a=$(find "$path" -mindepth 1 -print -quit) || bad=yes
            if [[ -n $a ]]; then say "kept $path: it is not empty"; else rmdir -- "$path" || bad=yes; fi
        done
    fi
    systemctl daemon-reload || bad=yes
    while IFS='|' read -r kind path a b c; do
        if [[ $kind != unit ]]; then continue; fi
        unit_state "$path" || bad=yes
        if [[ $a == yes && $ENABLED == no ]]; then systemctl enable "$path" || bad=yes; fi
        if [[ $b == yes ]]; then
            if [[ $RUNNING == no ]]; then
                unit_do start "$path" || bad=yes
            elif [[ $c == restart || $c == reload ]]; then
                unit_do "$c" "$path" || bad=yes
            fi
        fi
    done <"$saved/INDEX"
    if [[ -n $bad ]]; then return 1; fi
    rm -rf -- "$STATE/installed.new" "$STATE/installed" "$RECEIPT" || return 1
    if [[ -d $saved/installed ]]; then cp -a -- "$saved/installed" "$STATE/installed" || return 1; fi
    if [[ -f $saved/receipt.json ]]; then cp -a -- "$saved/receipt.json" "$RECEIPT" || return 1; fi
    sync
}
deepest_first() { printf '%s\n' "$@" | sort -r -u; }

# mark_pending NAME: from here until PENDING goes, the host is between old and new.
mark_pending() {
    if [[ -f $PENDING && $(<"$PENDING") == "$1" ]]; then return 0; fi
    if ! { printf '%s\n' "$1" >"$PENDING.new" && sync -- "$PENDING.new" &&
        mv -f -T -- "$PENDING.new" "$PENDING" && sync -f -- "$STATE"; }; then
        say "cannot write to $STATE"
        return 1
    fi
}
# No longer between: on the disk before anything that going back would need is thrown away.
clear_pending() {
    if ! rm -f -- "$PENDING"; then
        say "cannot take away $PENDING: cure that, then finish with: $HERE/rollback.sh --resume"
        return 1
    fi
    sync -f -- "$STATE"
}

# put_back NAME: restore, then forget the backup (the host is now what it held).
put_back() {
    if ! mark_pending "$1"; then
        rm -f -- "$PENDING" || return 1
        say "nothing was changed"
        return 1
    fi
    if ! restore "$1"; then
        say "PUTTING BACK IS NOT COMPLETE. Cure what is named above, then finish with: $HERE/rollback.sh --resume"
        return 1
    fi
    finish_move && clear_pending && sweep
}
# etcd's data goes aside once etcd has stopped.
finish_move() {
    local from to
    if [[ ! -f $MOVING ]]; then return 0; fi
    IFS='|' read -r from to <"$MOVING" || return 1
    unit_state etcd.service || return 1
    if [[ $RUNNING == yes ]]; then systemctl stop etcd.service || return 1; fi
    if [[ -d $from && ! -e $to ]]; then mv -T -- "$from" "$to" || return 1; fi
    say "etcd's data is kept in $to"
    rm -f -- "$MOVING"
}

# chain FUNCTION: FUNCTION NAME for every kept backup, newest first, until it fails or there is no more.
chain() {
    local name from=$RECEIPT
    while [[ -f $from ]]; do
        name=$(MANIFEST=$from field backup)
        "$1" "$name" "$from" || return 0
        from=$STATE/backups/$name/receipt.json
    done
}
# sweep: throws away what nothing leads to any more. Backups hold keys; none stays for longer than it is of use.
sweep() {
    local kept=() path
    if [[ -f $PENDING ]]; then return 0; fi
    chain keep
    for path in "$STATE"/backups/*; do
        if [[ -d $path && " ${kept[*]} " != *" ${path##*/} "* ]]; then rm -rf -- "$path" || return 1; fi
    done
    for path in "$STATE/stage" "$STATE/installed.new" "$RECEIPT.new" "$PENDING.new"; do
        if there "$path"; then rm -rf -- "$path" || return 1; fi
    done
}
keep() { kept+=("$1"); }

# merged NAME...: one backup out of several, newest first, so that all are put back in one step: of each path what the
# oldest found, of each unit the oldest state and a restart if any of them asks for one. Sets MERGED.
merged() {
    local new=$STATE/backups/merged.new name kind path rest last
    local -A kinds=() rests=() origin=() did=()
    MERGED=$1
    if [[ $# -eq 1 ]]; then return 0; fi
    MERGED=merged
    rm -rf -- "$new" "$STATE/backups/merged"
    mkdir -p -- "$new/files"
    for name in "$@"; do
        last=$STATE/backups/$name
        while IFS='|' read -r kind path rest; do
            kinds[$path]=$kind rests[$path]=$rest origin[$path]=$name
            if [[ $kind == unit && ${did[$path]-} != restart && $rest != *'|-' ]]; then did[$path]=${rest##*|}; fi
        done <"$last/INDEX"
    done
    for path in "${!kinds[@]}"; do
        rest=${rests[$path]}
        case ${kinds[$path]} in
            unit) rest=${rest%|*}"|${did[$path]:--}" ;;
            file)
                mkdir -p -- "$new/files${path%/*}"
                cp -a -l -T -- "$STATE/backups/${origin[$path]}/files$path" "$new/files$path" ;;
        esac
        printf '%s|%s%s\n' "${kinds[$path]}" "$path" "${rest:+|$rest}" >>"$new/INDEX"
    done
    if [[ -d $last/installed ]]; then cp -a -- "$last/installed" "$new/installed"; fi
    if [[ -f $last/receipt.json ]]; then cp -a -- "$last/receipt.json" "$new/receipt.json"; fi
    sync -f -- "$new"
    mv -T -- "$new" "$STATE/backups/$MERGED"
}

# A run that was killed left PENDING; the host goes back to the old state before anything else.
recover() {
    local name
    if [[ -f $PENDING ]]; then
        name=$(<"$PENDING")
        [[ -n $name && -f $STATE/backups/$name/INDEX ]] ||
            finish 1 "$PENDING names a backup that is not in $STATE/backups: what was there before cannot be put back"
        say "an earlier run was cut off; putting back what was there before it"
        put_back "$name" || finish 1
    fi
    if [[ -f $MOVING ]]; then rm -f -- "$MOVING"; fi
    sweep
}

# The bundle's host and cluster must be those that are installed: another's script would take this host down.
check_belongs() {
    local key here there_is
    if [[ ! -f $RECEIPT || ! -f $MANIFEST ]]; then return 0; fi
    for key in host clusterId; do
        here=$(field "$key")
        there_is=$(receipt "$key")
        if [[ $here != "$there_is" ]]; then
            finish 5 "this bundle is not for what is installed here: its $key is '$here', this host's is '$there_is'"
        fi
    done
}

# Is this the host that the bundle was made for?
check_host() {
    local here fqdn name address addresses own
    here=$(uname -n)
    here=${here,,}
    fqdn=$(field host)
    name=$(field name)
    if [[ $here != "$fqdn" && $here != "$name" ]]; then
        finish 5 "this bundle is for $fqdn; this host calls itself $here"
    fi
    own=$(ip -o addr show | awk '{ sub(/\/.*/, "", $4); print $4 }')
    lines addresses list addresses
    for address in "${addresses[@]}"; do
        if [[ $'\n'$own$'\n' == *$'\n'"$address"$'\n'* ]]; then return 0; fi
    done
    finish 5 "none of the bundle's addresses (${addresses[*]}) is on an interface of this host"
}
# ---- end of host ----

#!/bin/bash
# Usage: install.sh [--dry-run]
#
# Makes this host as the bundle in this folder says: checks first, keeps a backup of everything
# it touches, changes only what differs, restarts only what is affected, and puts the backup back
# by itself if anything fails. A second run changes nothing.
#
#   --dry-run   list what would be done; write nothing; exit 2 if there is anything to do
#
# Exit codes: 0 done or nothing to do, 1 error (the host is as it was before), 2 a dry run found
# changes, 4 the bundle is damaged, 5 wrong host, cluster or generation, 6 a precondition is not
# met (root, clock, a missing command), 64 usage.

# @include prelude.sh
# @include host.sh
# @include compare.sh

DRY=''
STAGE=$STATE/stage
READ_LATE=''        # "yes" if the daemons could not read the staged files
BACKUP=''           # the name of this run's backup
ACTIONS=()          # "action|path|mode|owner|group|policy"
UNIT_ACTIONS=()     # "action|unit"

# ---- what must hold before anything is touched ----

# SHA256SUMS names every file of the bundle, and the bundle holds no other.
check_integrity() {
    local odd
    cd -- "$HERE"
    [[ -f SHA256SUMS && -f MANIFEST.json ]] || finish 4 "SHA256SUMS or MANIFEST.json is missing from $HERE"
    odd=$(find . ! -type f ! -type d | head -n 3)
    if [[ -n $odd ]]; then finish 4 "the bundle holds something that is no plain file: $odd"; fi
    if grep -E -v -q '^[0-9a-f]{64} [ *](\./)?[A-Za-z0-9._@+-][A-Za-z0-9/._@+-]*$' SHA256SUMS; then
        finish 4 "SHA256SUMS has a line that is none of khagen's"
    fi
    if ! sha256sum --check --strict --quiet SHA256SUMS >&2; then
        finish 4 "the bundle is damaged: a file is not as SHA256SUMS says. Fetch it again"
    fi
    odd=$(comm -13 <(sed -e 's/^.\{66\}//' -e 's/^\.\///' SHA256SUMS | sort) \
        <(find . -type f ! -path ./SHA256SUMS | sed 's/^\.\///' | sort) | head -n 3)
    if [[ -n $odd ]]; then finish 4 "the bundle holds a file that SHA256SUMS does not name: $odd"; fi
    [[ $(field schema) == khagen-manifest/v1 ]] || finish 4 "MANIFEST.json is of a kind that this script does not know"
}

# MANIFEST.json and SHA256SUMS (which is proven by now) mean the same files under root/, no more, no less.
check_manifest() {
    local odd
    odd=$(entries files path | grep -E -v -e '^/[A-Za-z0-9._@/+-]+$' || :)
    if [[ -z $odd ]]; then odd=$(entries files path | grep -F -e '/..' || :); fi
    if [[ -n $odd ]]; then finish 4 "MANIFEST.json: '$odd' is no path to install to"; fi
    odd=$(comm -3 <(entries files sha256 path policy | sed -n -e '/|absent$/d' -e 's/|[^|]*$//p' | sort) \
        <(sed -n -e 's/^\(.\{64\}\) [ *]\(\.\/\)\{0,1\}root\//\1|\//p' SHA256SUMS | sort) | head -n 3)
    if [[ -n $odd ]]; then finish 4 "MANIFEST.json and the files under root/ do not agree: $odd"; fi
}

check_receipt() {
    local before now
    if [[ ! -f $RECEIPT ]]; then return 0; fi
    if [[ $(receipt clusterId) != "$(field clusterId)" ]]; then
        finish 5 "this host belongs to cluster $(receipt cluster) ($(receipt clusterId)); the bundle is for $(field cluster) ($(field clusterId)). Run uninstall.sh of the old bundle first if you mean it"
    fi
    [[ $(receipt host) == "$(field host)" ]] || finish 5 "this host was installed as $(receipt host)"
    before=$(receipt generation)
    now=$(field generation)
    if [[ $now -lt $before ]]; then
        finish 5 "generation $before is installed, this bundle is generation $now: to go back run rollback.sh $now"
    fi
    if [[ $now -eq $before && $(receipt manifest) != "$(digest "$MANIFEST")" ]]; then
        finish 5 "another bundle of generation $now is installed: one of the two was built from another store"
    fi
}

check_clock() {
    local now
    now=$(date -u +%FT%TZ)
    if [[ $now < $(field validFrom) ]]; then
        finish 6 "the clock says $now, the certificates begin at $(field validFrom): set the clock (timedatectl)"
    fi
    if [[ $now > $(field validUntil) ]]; then
        finish 6 "the clock says $now, the first certificate ends at $(field validUntil): set the clock, or renew (khagen pki renew) and build again"
    fi
}

check_commands() {
    local command missing=()
    while read -r command; do
        command -v -- "$command" >/dev/null || missing+=("$command")
    done < <(list commands)
    if [[ ${#missing[@]} -gt 0 ]]; then
        say "missing on this host: ${missing[*]}"
        say "Debian and Ubuntu have them in: apt-get install $(list packages | paste -s -d ' ')"
        finish 6 "what no package has (etcd, kubeadm, kubelet of this version) goes where the README says; then run this again"
    fi
}

# ---- what is to do ----

plan() {
    local path mode owner group policy sha
    while IFS='|' read -r path mode owner group; do
        if [[ ! -e $path ]]; then
            ACTIONS+=("mkdir|$path|$mode|$owner|$group|directory")
        elif [[ ! -d $path ]]; then
            finish 1 "$path is no directory here; the bundle needs one"
        elif [[ $(stat -L -c '%04a %U %G' -- "$path") != "$mode $owner $group" ]]; then
            ACTIONS+=("chmod|$path|$mode|$owner|$group|directory")
        fi
    done < <(entries directories path mode owner group)
    while IFS='|' read -r path mode owner group policy sha; do
        file_action "$path" "$mode" "$owner" "$group" "$policy" "$sha"
        if [[ -n $ACTION ]]; then ACTIONS+=("$ACTION|$path|$mode|$owner|$group|$policy"); fi
    done < <(entries files path mode owner group policy sha256)
    plan_leavings
    plan_units
}

# What an earlier generation installed and this one no longer has.
plan_leavings() {
    local path policy unit old=$STATE/installed/MANIFEST.json
    if [[ ! -f $old ]]; then return 0; fi
    while IFS='|' read -r path policy; do
        case $policy in
            managed | input) if there "$path"; then ACTIONS+=("remove|$path||||left"); fi ;;
            block) if [[ -n $(block_of "$path" "$(field cluster)") ]]; then ACTIONS+=("edit|$path||||left"); fi ;;
        esac
    done < <(MANIFEST=$old entries files path policy | awk -F '|' 'NR == FNR { new[$1]; next } !($1 in new)' <(entries files path) -)
    while read -r unit; do
        if unit_enabled "$unit" || unit_running "$unit"; then UNIT_ACTIONS+=("drop|$unit"); fi
    done < <(comm -23 <(MANIFEST=$old our_units | sort) <(entries units unit | sort))
}
# Units that khagen enabled or started. One that is only named to be restarted for a file (ssh.service, say) is the host's own.
our_units() { entries units unit enable start | awk -F '|' '$2 == "true" || $3 == "true" { print $1 }'; }

# touched PREFIX...: does a file that changes begin with one of these?
touched() {
    local prefix action path rest
    for prefix in "$@"; do
        for action in "${ACTIONS[@]}"; do
            IFS='|' read -r _ path rest <<<"$action"
            if [[ $rest != *'|directory' && $path == "$prefix"* ]]; then return 0; fi
        done
    done
    return 1
}

plan_units() {
    local unit enable start restart_on reload_on prefixes=()
    while IFS='|' read -r unit enable start restart_on reload_on; do
        if [[ $enable == true ]] && ! unit_enabled "$unit"; then UNIT_ACTIONS+=("enable|$unit"); fi
        if ! unit_running "$unit"; then
            if [[ $start != true ]]; then continue; fi
            if [[ $unit == etcd.service ]] && must_join_first; then
                say "etcd is not started here: this member joins a running cluster, up.sh adds it first"
                continue
            fi
            if is_oneshot "$unit" && ! touched "/etc/systemd/system/$unit"; then continue; fi
            UNIT_ACTIONS+=("start|$unit")
            continue
        fi
        read -r -a prefixes <<<"$restart_on"
        if touched "${prefixes[@]}"; then UNIT_ACTIONS+=("restart|$unit"); continue; fi
        read -r -a prefixes <<<"$reload_on"
        if touched "${prefixes[@]}"; then UNIT_ACTIONS+=("reload|$unit"); fi
    done < <(entries units unit enable start restartOn reloadOn)
}
# An etcd member of a running cluster must be announced to it before its first start.
must_join_first() { [[ $(field etcdState) == existing && ! -d $(etcd_data)/member ]]; }
etcd_data() {
    local dir
    dir=$(sed -n 's/^ETCD_DATA_DIR=//p' "$HERE/root/etc/etcd/etcd.env" 2>/dev/null | tr -d '"' || :)
    printf '%s' "${dir:-/var/lib/etcd}"
}
# A unit that ran and ended well is not running, and need not be.
is_oneshot() { [[ $(systemctl show -p Type --value "$1" 2>/dev/null || :) == oneshot ]]; }

show_plan() {
    local entry action path mode owner group
    for entry in "${ACTIONS[@]}"; do
        IFS='|' read -r action path mode owner group _ <<<"$entry"
        result "$action $path${mode:+ ($mode $owner:$group)}"
    done
    for entry in "${UNIT_ACTIONS[@]}"; do result "${entry%%|*} ${entry#*|}"; done
}

# ---- the real daemons read the new configuration before it is in place ----

# In a mount namespace of our own, the staged files lie over /etc and /usr; nothing outside it changes.
validate() {
    local path mode code=0
    rm -rf -- "$STAGE"
    mkdir -p -- "$STAGE/low/etc" "$STAGE/low/usr" "$STAGE/tmp"
    chmod 0755 -- "$STAGE" "$STAGE/low" "$STAGE/low/etc" "$STAGE/low/usr"
    while IFS='|' read -r path mode; do
        install -D -m "$mode" -- "root$path" "$STAGE/low$path"
    done < <(entries files path mode policy | grep -E -e '^/(etc|usr)/' | grep -E -e '\|managed$' | cut -d '|' -f 1,2)
    find "$STAGE/low" -type d -exec chmod 0755 {} +
    unshare --mount --propagation private "$BASH" -c "$(declare -f read_staged lay_over readers); read_staged \"\$1\"" "$ME" "$STAGE" >&2 || code=$?
    rm -rf -- "$STAGE"
    case $code in
        0) ;;
        3) say "no overlay can be mounted here: the daemons read their files once these are in place, before any restart"
            READ_LATE=yes ;;
        *) finish 1 "a daemon refuses its new configuration (its reason is above); nothing was touched" ;;
    esac
}
read_staged() {
    lay_over "$1" || return 3
    readers
}
lay_over() {
    local top
    mount -t tmpfs -o mode=0755 tmpfs "$1/tmp" || return 1
    for top in etc usr; do
        mkdir -p "$1/tmp/$top" "$1/tmp/$top.work"
        # /etc and /usr have this folder's mode then, and keepalived asks whether its scripts' user gets through
        chmod 0755 "$1/tmp/$top"
        mount -t overlay -o "lowerdir=$1/low/$top:/$top,upperdir=$1/tmp/$top,workdir=$1/tmp/$top.work" overlay "/$top" || return 1
    done
    cd "$1/low" || return 1
}
# Runs in the folder that holds the staged etc/ and usr/, which tell what there is to read.
readers() {
    local unit tolerant=() bad=0
    if compgen -G 'etc/sysusers.d/*.conf' >/dev/null || compgen -G 'usr/lib/sysusers.d/*.conf' >/dev/null; then
        systemd-sysusers || bad=1
    fi
    if [[ -f etc/nginx/nginx.conf ]] && command -v nginx >/dev/null; then nginx -t -q || bad=1; fi
    if [[ -f etc/keepalived/keepalived.conf ]] && command -v keepalived >/dev/null; then
        # 2.2.x ends itself (143) when it tests scripts of an unprivileged user, unless its parent is out of sight
        unshare --pid --fork keepalived -t -f /etc/keepalived/keepalived.conf || bad=1
    fi
    if [[ -f etc/containerd/config.toml ]] && command -v containerd >/dev/null; then
        containerd --config /etc/containerd/config.toml config dump >/dev/null || bad=1
    fi
    if command -v systemd-analyze >/dev/null; then
        if systemd-analyze --help 2>/dev/null | grep -e --recursive-errors >/dev/null; then tolerant=(--recursive-errors=no); fi
        for unit in etc/systemd/system/*.service etc/systemd/system/*.timer etc/systemd/system/*.path; do
            if [[ -f $unit ]]; then systemd-analyze verify --man=no "${tolerant[@]}" "/$unit" || bad=1; fi
        done
    fi
    return "$bad"
}

# ---- the change itself ----

# Everything that is about to be touched, bytes, modes, owners and unit state, under backups/<generation>.
back_up() {
    local base entry action path unit done_to saved n=0
    base=$(field generation)
    BACKUP=$base
    while [[ -e $STATE/backups/$BACKUP ]]; do n=$((n + 1)); BACKUP=$base.$n; done
    saved=$STATE/backups/$BACKUP.new
    rm -rf -- "$saved"
    mkdir -p -- "$saved/files"
    for entry in "${ACTIONS[@]}"; do
        IFS='|' read -r action path _ <<<"$entry"
        remember_parents "$path"
        if [[ -d $path && ! -L $path ]]; then
            printf 'dir|%s|%s\n' "$path" "$(stat -c '%04a|%u|%g' -- "$path")"
        elif there "$path"; then
            mkdir -p -- "$saved/files${path%/*}"
            cp -a -- "$path" "$saved/files$path"
            printf 'file|%s\n' "$path"
        elif [[ $action == mkdir ]]; then
            printf 'nodir|%s\n' "$path"
        else
            printf 'none|%s\n' "$path"
        fi
    done | awk '!seen[$0]++' >"$saved/INDEX"
    while read -r unit; do
        done_to=$(printf '%s\n' "${UNIT_ACTIONS[@]}" | grep -E -e '^(restart|reload)\|' | grep -F -e "|$unit" | cut -d '|' -f 1 || :)
        printf 'unit|%s|%s|%s|%s\n' "$unit" "$(unit_enabled "$unit" && echo yes || echo no)" \
            "$(unit_running "$unit" && echo yes || echo no)" "${done_to:--}" >>"$saved/INDEX"
    done < <({ entries units unit; if [[ -f $STATE/installed/MANIFEST.json ]]; then MANIFEST=$STATE/installed/MANIFEST.json entries units unit; fi; } | sort -u)
    if [[ -d $STATE/installed ]]; then cp -a -- "$STATE/installed" "$saved/installed"; fi
    if [[ -f $RECEIPT ]]; then cp -a -- "$RECEIPT" "$saved/receipt.json"; fi
    sync -f -- "$saved"
    mv -T -- "$saved" "$STATE/backups/$BACKUP"
}
remember_parents() {
    local dir=${1%/*}
    while [[ -n $dir && ! -e $dir ]]; do
        printf 'nodir|%s\n' "$dir"
        dir=${dir%/*}
    done
}

# with_block FILE CLUSTER BLOCK: FILE with BLOCK between our markers; without them if BLOCK is empty.
with_block() {
    awk -v begin="# BEGIN khagen $2" -v end="# END khagen $2" -v block="$3" '
        function put(    line) {
            if (block == "") return
            print begin
            while ((getline line < block) > 0) print line
            close(block)
            print end
        }
        $0 == begin { inside = 1; seen = 1; put(); next }
        $0 == end && inside { inside = 0; next }
        !inside { print }
        END { if (!seen) put() }' "$1"
}
# put_in_place SOURCE PATH MODE OWNER GROUP: written beside the target, then renamed over it.
put_in_place() {
    local aside
    aside=$(aside_of "$2")
    rm -f -- "$aside"
    cp -- "$1" "$aside"
    chown -- "$4:$5" "$aside"
    chmod -- "$3" "$aside"
    mv -f -T -- "$aside" "$2"
}

# Runs when apply does not come to its end.
undo() {
    say "putting back what was there before"
    if put_back "$BACKUP"; then say "the host is as it was before"; fi
}

apply_one() {
    local action=$1 path=$2 mode=$3 owner=$4 group=$5 policy=$6 block='' before=/dev/null made
    (umask 022 && mkdir -p -- "${path%/*}")
    case $action:$policy in
        mkdir:* | chmod:directory)
            (umask 022 && mkdir -p -- "$path")
            chown -- "$owner:$group" "$path"
            chmod -- "$mode" "$path" ;;
        chmod:*)
            chown -- "$owner:$group" "$path"
            chmod -- "$mode" "$path" ;;
        remove:*)
            rm -f -- "$path" ;;
        create:block | edit:*)
            if [[ $policy == block ]]; then block=root$path; fi
            made=$(mktemp)
            if [[ -e $path ]]; then
                before=$path
                owner=$(stat -L -c %u -- "$path") group=$(stat -L -c %g -- "$path") mode=$(stat -L -c %a -- "$path")
            fi
            with_block "$before" "$(field cluster)" "$block" >"$made"
            put_in_place "$made" "$(readlink -m -- "$path")" "$mode" "$owner" "$group"
            rm -f -- "$made" ;;
        *)
            put_in_place "root$path" "$path" "$mode" "$owner" "$group" ;;
    esac
}

# each_changed PATTERN: the changed paths that match it and still exist.
each_changed() {
    local entry path
    for entry in "${ACTIONS[@]}"; do
        IFS='|' read -r _ path _ <<<"$entry"
        if [[ $path =~ $1 && -f $path ]]; then printf '%s\n' "$path"; fi
    done
}

apply() {
    local entry action path mode owner group policy file module unit users='^/(etc|usr/lib)/sysusers\.d/'
    # Units that this host no longer has, while their files are still here.
    for entry in "${UNIT_ACTIONS[@]}"; do
        if [[ $entry == drop\|* ]]; then systemctl disable --now "${entry#*|}"; fi
    done
    # The users first: files and folders are given to them.
    for entry in "${ACTIONS[@]}"; do
        IFS='|' read -r action path mode owner group policy <<<"$entry"
        if [[ $path =~ $users ]]; then apply_one "$action" "$path" "$mode" "$owner" "$group" "$policy"; fi
    done
    if entries files path | grep -E -e "$users" >/dev/null; then
        # shipped users may be missing though their file is as it should be
        systemd-sysusers
    fi
    for entry in "${ACTIONS[@]}"; do
        IFS='|' read -r action path mode owner group policy <<<"$entry"
        if ! [[ $path =~ $users ]]; then apply_one "$action" "$path" "$mode" "$owner" "$group" "$policy"; fi
    done
    while read -r file; do systemd-tmpfiles --create "$file"; done < <(each_changed '^/(etc|usr/lib)/tmpfiles\.d/')
    while read -r file; do
        while read -r module; do modprobe -- "$module"; done < <(sed -e 's/[#;].*//' -e 's/[[:space:]]//g' -e '/^$/d' -- "$file")
    done < <(each_changed '/modules-load\.d/')
    while read -r file; do sysctl -q -p "$file"; done < <(each_changed '/sysctl\.d/')
    if [[ -n $READ_LATE ]]; then (cd root && readers) >&2; fi
    systemctl daemon-reload
    for entry in "${UNIT_ACTIONS[@]}"; do
        unit=${entry#*|}
        case ${entry%%|*} in
            enable) systemctl enable "$unit" ;;
            start) systemctl reset-failed "$unit" 2>/dev/null || :; unit_do start "$unit" ;;
            restart | reload) unit_do "${entry%%|*}" "$unit" ;;
        esac
    done
}

# The units hold for a moment, and no file differs any more.
check_result() {
    local unit start state tries path mode owner group policy sha
    while IFS='|' read -r path mode owner group policy sha; do
        file_action "$path" "$mode" "$owner" "$group" "$policy" "$sha"
        if [[ -n $ACTION ]]; then say "$path is still not as it should be ($ACTION)"; return 1; fi
    done < <(entries files path mode owner group policy sha256)
    while IFS='|' read -r unit start; do
        if [[ $start != true ]] || is_oneshot "$unit"; then continue; fi
        if [[ $unit == etcd.service ]] && must_join_first; then continue; fi
        for tries in 1 2 3 4 5 6 7 8 9 10; do
            state=$(systemctl show -p ActiveState --value "$unit")/$(systemctl show -p SubState --value "$unit")
            if [[ $state == active/* || $state == failed/* ]]; then break; fi
            if [[ $tries -lt 10 ]]; then sleep 0.5; fi
        done
        case $state in
            active/*) say "$unit is active" ;;
            activating/start) if [[ $unit != etcd.service ]]; then say "$unit does not come up: $state"; return 1; fi
                say "etcd runs and waits for its peers: that is as it should be until a majority is installed" ;;
            *) say "$unit does not come up: $state (see journalctl -u $unit)"; return 1 ;;
        esac
    done < <(entries units unit start)
}

write_receipt() {
    local new=$STATE/installed.new name
    rm -rf -- "$new"
    mkdir -p -- "$new"
    for name in MANIFEST.json README.md up.sh verify.sh rollback.sh uninstall.sh; do
        if [[ -f $name ]]; then cp -- "$name" "$new/$name"; fi
    done
    chmod 0700 -- "$new"/*.sh
    rm -rf -- "$STATE/installed"
    mv -T -- "$new" "$STATE/installed"
    cat >"$RECEIPT.new" <<END
{
"schema": "khagen-receipt/v1",
"cluster": "$(field cluster)",
"clusterId": "$(field clusterId)",
"host": "$(field host)",
"generation": $(field generation),
"manifest": "$(digest "$MANIFEST")",
"backup": "$BACKUP",
"installed": "$(date -u +%FT%TZ)"
}
END
    sync
    mv -f -T -- "$RECEIPT.new" "$RECEIPT"
}

main() {
    local todo
    case ${1-} in
        '') ;;
        --dry-run) DRY=yes ;;
        --help | -h) show_usage; finish 0 ;;
        *) show_usage >&2; finish 64 ;;
    esac
    if [[ $# -gt 1 ]]; then show_usage >&2; finish 64; fi
    need_root
    check_integrity
    check_manifest
    check_host
    if [[ -z $DRY ]]; then
        take_lock
        recover
    elif [[ -f $PENDING ]]; then
        say "an earlier run was cut off: install.sh would first put back what was there before it"
    fi
    check_receipt
    check_clock
    check_commands
    plan
    todo=$((${#ACTIONS[@]} + ${#UNIT_ACTIONS[@]}))
    if [[ $todo -eq 0 && $(receipt generation) == "$(field generation)" ]]; then
        finish 0 "generation $(field generation) is installed: nothing to do"
    fi
    if [[ -n $DRY ]]; then
        show_plan
        if [[ $todo -eq 0 ]]; then result "record generation $(field generation) (no file differs)"; fi
        finish 2 "dry run: nothing was written"
    fi
    open_log
    say "$(field host), generation $(field generation)"
    if [[ ${#ACTIONS[@]} -gt 0 ]]; then validate; fi
    back_up
    UNDO=undo
    mark_pending "$BACKUP"
    show_plan
    apply
    check_result
    write_receipt
    UNDO=''
    rm -f -- "$PENDING"
    say "generation $(field generation) is installed; what was there before is kept in $STATE/backups/$BACKUP"
    say "next: $HERE/up.sh"
    finish 0
}

main "$@"

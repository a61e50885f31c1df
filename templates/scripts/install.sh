#!/bin/bash
# Usage: install.sh [--packages DIR] [--dry-run]
#
# Makes this host as the bundle in this folder says: checks first, keeps a backup of everything
# it touches, changes only what differs, restarts only what is affected, and puts the backup back
# by itself if anything fails. A second run changes nothing.
#
# Packages and programs that travel beside the bundle are installed from there, without a network,
# and only if they are not there already. What dpkg installed stays when the rest is put back.
#
#   --packages DIR  the folder with them (default: packages/ beside the folder of this bundle)
#   --dry-run       list what would be done; write nothing; exit 2 if there is anything to do
#
# Exit codes: 0 done or nothing to do, 1 error (the host is as it was before), 2 a dry run found
# changes, 4 the bundle is damaged, 5 wrong host, cluster or generation, 6 a precondition is not
# met (root, clock, a missing command), 64 usage.

# @include prelude.sh
# @include host.sh
# @include compare.sh
# @include probe.sh
# @include parts/packages.sh

DRY=''
STAGE=$STATE/stage
INSTALLED=''        # "yes" if the receipt is of this very bundle
GENERATION=''
CLUSTER=''
READ_LATE=''        # "yes" if the daemons could not read the staged files
JOINS_FIRST=''      # "yes" if up.sh starts etcd, not this script
BACKUP=''           # the name of this run's backup
ACTIONS=()          # "action|path|mode|owner|group|policy"
UNIT_ACTIONS=()     # "action|unit"

# ---- what must hold before anything is touched ----

declare -A SUMS=()      # path in the bundle to digest

# SHA256SUMS names every file of the bundle, and the bundle holds no other.
check_integrity() {
    local line path code=0 odd=()
    cd -- "$HERE"
    [[ -f SHA256SUMS && -f MANIFEST.json ]] || finish 4 "SHA256SUMS or MANIFEST.json is missing from $HERE"
    lines odd find . ! -type f ! -type d
    if [[ ${#odd[@]} -gt 0 ]]; then finish 4 "the bundle holds something that is no plain file: ${odd[*]:0:3}"; fi
    while IFS= read -r line || [[ -n $line ]]; do
        [[ $line =~ ^([0-9a-f]{64})\ [\ *](\./)?([A-Za-z0-9._@+-][A-Za-z0-9/._@+-]*)$ ]] ||
            finish 4 "SHA256SUMS has a line that is none of khagen's"
        SUMS[${BASH_REMATCH[3]}]=${BASH_REMATCH[1]}
    done <SHA256SUMS
    sha256sum --check --strict --quiet SHA256SUMS >&2 || code=$?
    case $code in
        0) ;;
        1) finish 4 "the bundle is damaged: a file is not as SHA256SUMS says. Fetch it again" ;;
        *) finish 1 "sha256sum cannot check the bundle (it ended with $code)" ;;
    esac
    lines odd find . -type f ! -path ./SHA256SUMS
    for path in "${odd[@]}"; do
        [[ -n ${SUMS[${path#./}]-} ]] || finish 4 "the bundle holds a file that SHA256SUMS does not name: $path"
    done
    line=$(field schema)
    [[ $line == khagen-manifest/v1 ]] || finish 4 "MANIFEST.json is of a kind that this script does not know"
}

# MANIFEST.json and SHA256SUMS (which is proven by now) mean the same files under root/, no more, no less.
check_manifest() {
    local entry path policy sha count=0
    for entry in "${FILES[@]}"; do
        IFS='|' read -r path _ _ _ policy sha <<<"$entry"
        if ! [[ $path =~ ^/[A-Za-z0-9._@/+-]+$ ]] || [[ $path == */..* ]]; then
            finish 4 "MANIFEST.json: '$path' is no path to install to"
        fi
        if [[ $policy == absent ]]; then continue; fi
        [[ ${SUMS[root$path]-} == "$sha" ]] || finish 4 "MANIFEST.json and the files under root/ do not agree: $path"
        count=$((count + 1))
    done
    for path in "${!SUMS[@]}"; do
        if [[ $path == root/* ]]; then count=$((count - 1)); fi
    done
    [[ $count -eq 0 ]] || finish 4 "MANIFEST.json and the files under root/ do not agree: root/ holds what the manifest does not name"
}

check_receipt() {
    local before cluster id host manifest
    GENERATION=$(field generation)
    CLUSTER=$(field cluster)
    if [[ ! -f $RECEIPT ]]; then return 0; fi
    cluster=$(receipt cluster)
    id=$(receipt clusterId)
    manifest=$(field clusterId)
    if [[ $id != "$manifest" ]]; then
        finish 5 "this host belongs to cluster $cluster ($id); the bundle is for $CLUSTER ($manifest). Run uninstall.sh of the old bundle first if you mean it"
    fi
    host=$(receipt host)
    manifest=$(field host)
    [[ $host == "$manifest" ]] || finish 5 "this host was installed as $host"
    before=$(receipt generation)
    if [[ $GENERATION -lt $before ]]; then
        finish 5 "generation $before is installed, this bundle is generation $GENERATION: to go back run rollback.sh $GENERATION"
    fi
    manifest=$(receipt manifest)
    digest "$MANIFEST"
    if [[ $GENERATION -eq $before && $manifest != "$DIGEST" ]]; then
        finish 5 "another bundle of generation $GENERATION is installed: one of the two was built from another store"
    fi
    if [[ $GENERATION -eq $before ]]; then INSTALLED=yes; fi
}

# A host that has no certificates minds no clock.
check_clock() {
    local now from until
    now=$(date -u +%FT%TZ)
    from=$(field validFrom)
    until=$(field validUntil)
    if [[ -n $from && $now < $from ]]; then
        finish 6 "the clock says $now, the certificates begin at $from: set the clock (timedatectl)"
    fi
    if [[ -n $until && $now > $until ]]; then
        finish 6 "the clock says $now, the first certificate ends at $until: set the clock, or renew (khagen pki renew) and build again"
    fi
}

check_commands() {
    local command commands=() packages=() missing=()
    lines commands list commands
    for command in "${commands[@]}"; do
        command -v -- "$command" >/dev/null || brings "$command" || missing+=("$command")
    done
    if [[ ${#missing[@]} -gt 0 ]]; then
        lines packages list packages
        say "missing on this host: ${missing[*]}"
        say "Debian and Ubuntu have them in: apt-get install ${packages[*]}"
        finish 6 "what no package has (etcd, kubeadm, kubelet of this version) goes where the README says; then run this again"
    fi
}

# What is to be written, twice (in place and staged), and the backup, must fit before anything begins.
check_room() {
    local entry path bytes=0 free target size
    for entry in "${ACTIONS[@]}"; do
        IFS='|' read -r _ path _ <<<"$entry"
        for target in "root$path" "$path"; do
            if [[ ! -f $target ]]; then continue; fi
            size=$(stat -L -c %s -- "$target")
            bytes=$((bytes + 2 * size + 8192))
        done
    done
    for target in /etc "$STATE"; do
        free=$(df --output=avail -B 1 -- "$target" | tail -n 1)
        if [[ $free -lt $bytes ]]; then
            finish 6 "the file system of $target has $((free / 1024)) KiB free; this needs $((bytes / 1024)) KiB"
        fi
    done
}

# ---- what is to do ----

plan() {
    local entry path mode owner group policy sha is
    for entry in "${DIRECTORIES[@]}"; do
        IFS='|' read -r path mode owner group <<<"$entry"
        if [[ ! -e $path ]]; then
            ACTIONS+=("mkdir|$path|$mode|$owner|$group|directory")
            continue
        fi
        [[ -d $path ]] || finish 1 "$path is no directory here; the bundle needs one"
        is=$(stat -L -c '%04a %U %G' -- "$path")
        if [[ $is != "$mode $owner $group" ]]; then ACTIONS+=("chmod|$path|$mode|$owner|$group|directory"); fi
    done
    look
    for entry in "${FILES[@]}"; do
        IFS='|' read -r path mode owner group policy sha <<<"$entry"
        file_action "$path" "$mode" "$owner" "$group" "$policy" "$sha"
        if [[ -n $ACTION ]]; then ACTIONS+=("$ACTION|$path|$mode|$owner|$group|$policy"); fi
    done
    plan_leavings
    plan_programs
    plan_units
    plan_restarts
}

# What an earlier generation installed and this one no longer has.
plan_leavings() {
    local entry path policy unit enable start old=$STATE/installed/MANIFEST.json was=() block
    local -A new=()
    if [[ ! -f $old ]]; then return 0; fi
    for entry in "${FILES[@]}" "${UNITS[@]}"; do new[${entry%%|*}]=yes; done
    MANIFEST=$old lines was entries files path policy
    for entry in "${was[@]}"; do
        IFS='|' read -r path policy <<<"$entry"
        if [[ -n ${new[$path]-} ]]; then continue; fi
        case $policy in
            managed | input) if there "$path"; then ACTIONS+=("remove|$path||||left"); fi ;;
            block)
                block=$(block_of "$path" "$CLUSTER")
                if [[ -n $block ]]; then ACTIONS+=("edit|$path||||left"); fi ;;
        esac
    done
    # Units that khagen enabled or started. One that is only named to be restarted for a file (ssh.service, say) is the host's own.
    MANIFEST=$old lines was entries units unit enable start
    for entry in "${was[@]}"; do
        IFS='|' read -r unit enable start <<<"$entry"
        if [[ -n ${new[$unit]-} || ($enable != true && $start != true) ]]; then continue; fi
        unit_state "$unit"
        if [[ $ENABLED == yes || $RUNNING == yes ]]; then UNIT_ACTIONS+=("drop|$unit"); fi
    done
}

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
    local entry unit enable start restart_on reload_on prefixes=() etcd_waits='' data state
    state=$(field etcdState)
    data=$(etcd_data)
    # It must be announced to the running cluster before its first start.
    if [[ $state == existing && ! -d $data/member ]]; then etcd_waits=yes; fi
    if [[ $state == existing && -d $data/member ]]; then check_not_stale "$data"; fi
    for entry in "${UNITS[@]}"; do
        IFS='|' read -r unit enable start restart_on reload_on <<<"$entry"
        unit_state "$unit"
        if [[ $enable == true && $ENABLED == no ]]; then UNIT_ACTIONS+=("enable|$unit"); fi
        if [[ $RUNNING == no ]]; then
            if [[ $start != true ]]; then continue; fi
            if [[ $unit == etcd.service && -n $etcd_waits ]]; then
                say "etcd is not started here: this member joins a running cluster, up.sh adds it first"
                JOINS_FIRST=yes
                continue
            fi
            if [[ $unit == etcd.service && ! -d $data/member ]]; then check_not_lost "$data"; fi
            is_oneshot "$unit"
            if [[ $ONESHOT == yes ]] && ! touched "/etc/systemd/system/$unit"; then continue; fi
            UNIT_ACTIONS+=("start|$unit")
            continue
        fi
        read -r -a prefixes <<<"$restart_on"
        if touched "${prefixes[@]}"; then UNIT_ACTIONS+=("restart|$unit"); continue; fi
        read -r -a prefixes <<<"$reload_on"
        if touched "${prefixes[@]}"; then UNIT_ACTIONS+=("reload|$unit"); fi
    done
}
# member_known: asks the other members what they know of this one. Sets KNOWN to "yes", "unstarted" or "no", or to nothing if none
# of them answers.
member_known() {
    local env=$HERE/root/etc/etcd/etcd.env endpoint endpoints=() own peer members=() entry is clients
    KNOWN=''
    if [[ ! -f $env ]]; then return 0; fi
    own=$(env_value ETCD_ADVERTISE_CLIENT_URLS "$env")
    peer=$(env_value ETCD_INITIAL_ADVERTISE_PEER_URLS "$env")
    lines endpoints list etcdEndpoints
    for endpoint in "${endpoints[@]}"; do
        if [[ $endpoint == "$own" ]] || ! connects "$(host_of "${endpoint#*://}")" "$(port_of "$endpoint")"; then continue; fi
        ETCD_PKI=$HERE/root/etc/etcd/pki lines members etcd_client "$endpoint" member list 2>/dev/null || continue
        KNOWN=no
        for entry in "${members[@]}"; do
            IFS='|' read -r _ _ _ is clients _ <<<"${entry//, /|}"
            if [[ $is == "$peer" ]]; then KNOWN=${clients:+yes}; KNOWN=${KNOWN:-unstarted}; fi
        done
        return 0
    done
}
# A founding member that has lost its data must not start anew under its old name: the others count on what it has promised.
# One that has run has told the cluster where its clients find it.
check_not_lost() {
    local name
    member_known
    if [[ $KNOWN == yes ]]; then
        name=$(env_value ETCD_NAME "$HERE/root/etc/etcd/etcd.env")
        finish 6 "the cluster knows $name as a member that has run, but its data is not in $1: it must not start anew under the old name. Take the lost one out on another etcd host (khagen-etcd-replace $name --yes), set cluster.state: running, build, and install that bundle"
    fi
}
# Data of a member that was taken off the list meanwhile: etcd would end as often as it starts.
check_not_stale() {
    local sub
    sub=$(systemctl show -p SubState --value etcd.service)
    if [[ $sub == running ]]; then return 0; fi
    member_known
    if [[ $KNOWN == no ]]; then
        finish 6 "$1 holds data, but the running cluster knows no member with this peer URL: stale. Move it aside, then run this again, and up.sh: systemctl stop etcd && mv $1 $1.stale && install -d -o etcd -g etcd -m 0700 $1"
    fi
}
etcd_data() {
    local dir=''
    if [[ -f $HERE/root/etc/etcd/etcd.env ]]; then dir=$(sed -n -e 's/"//g' -e 's/^ETCD_DATA_DIR=//p' -- "$HERE/root/etc/etcd/etcd.env"); fi
    printf '%s' "${dir:-/var/lib/etcd}"
}
# A unit that ran and ended well is not running, and need not be.
is_oneshot() {
    local type
    type=$(systemctl show -p Type --value "$1")
    ONESHOT=no
    if [[ $type == oneshot ]]; then ONESHOT=yes; fi
}

show_plan() {
    local entry action path mode owner group
    for entry in "${ACTIONS[@]}"; do
        IFS='|' read -r action path mode owner group _ <<<"$entry"
        result "$action $path${mode:+ ($mode $owner:$group)}"
    done
    for entry in "${UNIT_ACTIONS[@]}"; do result "${entry%%|*} ${entry#*|}"; done
}

# ---- the real daemons read the new configuration before it is in place ----

# In a mount namespace of our own, the staged files lie over /etc and /usr, and all that the daemons
# write while they read (logs, pid files, users) goes to a file system in memory; nothing outside it changes.
validate() {
    local entry path mode policy script code=0 staged=()
    local -A modes=()
    rm -rf -- "$STAGE"
    mkdir -p -- "$STAGE/low/etc" "$STAGE/low/usr" "$STAGE/tmp"
    chmod 0755 -- "$STAGE" "$STAGE/low" "$STAGE/low/etc" "$STAGE/low/usr"
    for entry in "${FILES[@]}"; do
        IFS='|' read -r path mode _ _ policy _ <<<"$entry"
        if [[ $policy != managed || ! $path =~ ^/(etc|usr)/ ]]; then continue; fi
        staged+=("${path#/}")
        modes[$mode]+="${path#/} "      # no path has a blank in it
    done
    if [[ ${#staged[@]} -gt 0 ]]; then (cd root && cp --parents -t "$STAGE/low" -- "${staged[@]}"); fi
    stage_programs "$STAGE/low"
    for mode in "${!modes[@]}"; do
        read -r -a staged <<<"${modes[$mode]}"
        (cd "$STAGE/low" && chmod "$mode" -- "${staged[@]}")
    done
    find "$STAGE/low" -type d -exec chmod 0755 {} +
    script=$(declare -f read_staged mounted lay_over readers read_units)
    unshare --mount --propagation private "$BASH" -c "$script; read_staged \"\$1\"" "$ME" "$STAGE" >&2 || code=$?
    rm -rf -- "$STAGE"
    case $code in
        0) ;;
        77) say "no overlay can be mounted here: the daemons read their files once these are in place, before any restart"
            READ_LATE=yes ;;
        78) finish 1 "a daemon refuses its new configuration (its reason is above); nothing was touched" ;;
        *) finish 1 "the daemons could not be asked to read their files (unshare ended with $code); nothing was touched" ;;
    esac
}
read_staged() {
    lay_over "$1" || return
    readers || return 78
}
# mounted MOUNT ARGUMENT...: 77 if it cannot be mounted here (mount(8): 1 no permission, 32 refused), 79 if mount itself fails.
mounted() {
    local code=0
    "$@" || code=$?
    case $code in 0) ;; 1 | 32) return 77 ;; *) printf 'mount ended with %s\n' "$code"; return 79 ;; esac
}
# Every file system below these places is laid over on its own: an overlay does not see into what is mounted there.
lay_over() {
    local top n=0 low mount tops=() places=() options=()
    mounted mount -t tmpfs -o mode=0755 tmpfs "$1/tmp" || return
    mkdir "$1/tmp/host" "$1/tmp/low" || return 79
    mounted mount --bind "$1/low" "$1/tmp/low" || return
    mounted mount --rbind / "$1/tmp/host" || return
    # from here on by relative paths: the way to this folder is laid over as well
    cd "$1/tmp" || return 79
    # a fifth field of mountinfo is where it is mounted
    top=$(set -o pipefail && {
        printf '%s\n' /etc /run /usr /var
        awk '$5 ~ "^/(etc|usr|var)/" { print $5 }' /proc/self/mountinfo
    } | sort -u) || return 79
    mapfile -t tops <<<"$top"
    for top in "${tops[@]}"; do
        if [[ ! -d $top || $top == "$1"* ]]; then continue; fi
        case $top in /var/lib/*/* | *[\\:,]*) continue ;; esac      # containers' and pods' own, nothing that is read here
        n=$((n + 1))
        low=host$top
        if [[ -d low$top ]]; then low=low$top:$low; fi
        mkdir "up.$n" "work.$n" || return 79
        if ! chmod --reference="$top" "up.$n"; then
            # who mounted it may have taken it away since
            if [[ ! -d $top ]]; then continue; fi
            return 79
        fi
        places+=("$top") options+=("lowerdir=$low,upperdir=up.$n,workdir=work.$n")
    done
    # all made ready before the first: in between, what is mounted further down is out of sight
    mount=$(command -v mount)
    for n in "${!places[@]}"; do
        if [[ ! -d ${places[$n]} ]]; then continue; fi
        mounted "host$mount" -t overlay -o "${options[$n]}" overlay "${places[$n]}" || return
    done
    cd low || return 79
}
# Runs in the folder that holds the staged etc/ and usr/, which tell what there is to read.
readers() {
    local bad=0
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
    if command -v systemd-analyze >/dev/null; then read_units || bad=1; fi
    return "$bad"
}
# systemd takes an unknown key for a remark and ends with 0, so what it says of our own files counts as well. Of a drop-in
# only that: the unit below it is not ours.
read_units() {
    local file unit said code tolerant=() bad=0
    said=$(systemd-analyze --help 2>/dev/null) || return 1
    if [[ $said == *--recursive-errors* ]]; then tolerant=(--recursive-errors=no); fi
    for file in etc/systemd/system/*.{service,timer,path,socket,mount,target} etc/systemd/system/*.d/*.conf; do
        if [[ ! -f $file ]]; then continue; fi
        unit=/$file code=0
        if [[ $file == *.d/*.conf ]]; then
            unit=${file%.d/*}
            unit=${unit##*/}
        fi
        said=$(systemd-analyze verify --man=no "${tolerant[@]}" "$unit" 2>&1) || code=$?
        # 1 is its word on what it has read
        if [[ $'\n'$said == *$'\n'"/$file:"* || $code -gt 1 || ($file != *.d/*.conf && $code -ne 0) ]]; then
            printf '%s\n' "$said"
            bad=1
        fi
    done
    return "$bad"
}

# ---- the change itself ----

# Everything that is about to be touched, bytes, modes, owners and unit state, under backups/<generation>.
back_up() {
    local entry action path policy unit done_to saved was n=0 saving=()
    local -A seen=()
    BACKUP=$GENERATION
    while [[ -e $STATE/backups/$BACKUP ]]; do n=$((n + 1)); BACKUP=$GENERATION.$n; done
    saved=$STATE/backups/$BACKUP.new
    rm -rf -- "$saved"
    mkdir -p -- "$saved/files"
    : >"$saved/INDEX"
    for entry in "${ACTIONS[@]}"; do
        IFS='|' read -r action path _ _ _ policy <<<"$entry"
        # a block is edited in the file that a link leads to
        if [[ $action == edit || $policy == block ]]; then path=$(readlink -m -- "$path"); fi
        remember_parents "$path"
        if [[ -d $path && ! -L $path ]]; then
            was=$(stat -c '%04a|%u|%g' -- "$path")
            remember "dir|$path|$was"
        elif there "$path"; then
            saving+=("${path#/}")
            remember "file|$path"
        elif [[ $action == mkdir ]]; then
            remember "nodir|$path"
        else
            remember "none|$path"
        fi
    done
    if [[ ${#saving[@]} -gt 0 ]]; then (cd / && cp -a --parents -t "$saved/files" -- "${saving[@]}"); fi
    lines was all_units
    for unit in "${was[@]}"; do
        done_to=-
        for entry in "${UNIT_ACTIONS[@]}"; do
            case $entry in "restart|$unit" | "reload|$unit") done_to=${entry%%|*} ;; esac
        done
        unit_state "$unit"
        remember "unit|$unit|$ENABLED|$RUNNING|$done_to"
    done
    if [[ -d $STATE/installed ]]; then cp -a -- "$STATE/installed" "$saved/installed"; fi
    if [[ -f $RECEIPT ]]; then cp -a -- "$RECEIPT" "$saved/receipt.json"; fi
    sync -f -- "$saved"
    mv -T -- "$saved" "$STATE/backups/$BACKUP"
}
# This generation's units and the former one's.
all_units() {
    {
        entries units unit || return 1
        if [[ -f $STATE/installed/MANIFEST.json ]]; then MANIFEST=$STATE/installed/MANIFEST.json entries units unit; fi
    } | sort -u
}
remember() {
    if [[ -z ${seen[$1]-} ]]; then printf '%s\n' "$1" >>"$saved/INDEX"; fi
    seen[$1]=yes
}
remember_parents() {
    local dir=${1%/*}
    while [[ -n $dir && ! -e $dir ]]; do
        remember "nodir|$dir"
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
    # it replaces what a run that was cut off has left there
    install -m "$3" -o "$4" -g "$5" -T -- "$1" "$aside"
    mv -f -T -- "$aside" "$2"
}

# Runs when apply does not come to its end.
undo() {
    say "putting back what was there before"
    if put_back "$BACKUP"; then say "the host is as it was before${DEBS_DONE:+, but for the packages, which stay: $DEBS_DONE}"; fi
}

apply_one() {
    local action=$1 path=$2 mode=$3 owner=$4 group=$5 policy=$6 block='' before=/dev/null aside
    if [[ ! -d ${path%/*} ]]; then (umask 022 && mkdir -p -- "${path%/*}"); fi
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
            path=$(readlink -m -- "$path")
            aside=$(aside_of "$path")
            rm -f -- "$aside"
            if [[ -e $path ]]; then before=$path; fi
            with_block "$before" "$CLUSTER" "$block" >"$aside"
            if [[ -e $path ]]; then
                chown --reference="$path" -- "$aside"
                chmod --reference="$path" -- "$aside"
            else
                chown -- "$owner:$group" "$aside"
                chmod -- "$mode" "$aside"
            fi
            mv -f -T -- "$aside" "$path" ;;
        *:binary)
            program_file "$path"
            put_in_place "$PROGRAM" "$path" "$mode" "$owner" "$group" ;;
        *)
            put_in_place "root$path" "$path" "$mode" "$owner" "$group" ;;
    esac
}

apply() {
    local entry action path mode owner group policy file module modules unit shipped='' users='^/(etc|usr/lib)/sysusers\.d/'
    local changed=()
    # Units that this host no longer has, while their files are still here.
    for entry in "${UNIT_ACTIONS[@]}"; do
        if [[ $entry == drop\|* ]]; then systemctl disable --now "${entry#*|}"; fi
    done
    # The users first: files and folders are given to them.
    for entry in "${ACTIONS[@]}"; do
        IFS='|' read -r action path mode owner group policy <<<"$entry"
        if [[ $path =~ $users ]]; then apply_one "$action" "$path" "$mode" "$owner" "$group" "$policy"; fi
    done
    for entry in "${FILES[@]}"; do
        if [[ ${entry%%|*} =~ $users ]]; then shipped=yes; fi
    done
    # shipped users may be missing though their file is as it should be
    if [[ -n $shipped ]]; then systemd-sysusers; fi
    for entry in "${ACTIONS[@]}"; do
        IFS='|' read -r action path mode owner group policy <<<"$entry"
        if ! [[ $path =~ $users ]]; then apply_one "$action" "$path" "$mode" "$owner" "$group" "$policy"; fi
        if [[ -f $path ]]; then changed+=("$path"); fi
    done
    for file in "${changed[@]}"; do
        case $file in /etc/tmpfiles.d/* | /usr/lib/tmpfiles.d/*) systemd-tmpfiles --create "$file" ;; esac
    done
    for file in "${changed[@]}"; do
        if [[ $file != */modules-load.d/* ]]; then continue; fi
        lines modules sed -e 's/[#;].*//' -e 's/[[:space:]]//g' -e '/^$/d' -- "$file"
        for module in "${modules[@]}"; do modprobe -- "$module"; done
    done
    for file in "${changed[@]}"; do
        if [[ $file == */sysctl.d/* ]]; then sysctl -q -p "$file"; fi
    done
    if [[ -n $READ_LATE ]]; then (cd root && readers) >&2; fi
    systemctl daemon-reload
    for entry in "${UNIT_ACTIONS[@]}"; do
        unit=${entry#*|}
        case ${entry%%|*} in
            enable) systemctl enable "$unit" ;;
            start) unit_begin "$unit" ;;
            restart | reload) unit_do "${entry%%|*}" "$unit" ;;
        esac
    done
}

# The units hold for a moment, and no file differs any more.
check_result() {
    local entry unit start state sub tries stopping path mode owner group policy sha
    look
    for entry in "${FILES[@]}"; do
        IFS='|' read -r path mode owner group policy sha <<<"$entry"
        file_action "$path" "$mode" "$owner" "$group" "$policy" "$sha"
        if [[ -n $ACTION ]]; then finish 1 "$path is still not as it should be ($ACTION)"; fi
    done
    find_missing
    if [[ ${#PROGRAMS_TODO[@]} -gt 0 ]]; then finish 1 "${PROGRAMS_TODO[0]%%|*} is still not the program of this bundle"; fi
    for entry in "${UNITS[@]}"; do
        IFS='|' read -r unit _ start _ <<<"$entry"
        if [[ $start != true || ($unit == etcd.service && -n $JOINS_FIRST) ]]; then continue; fi
        is_oneshot "$unit"
        if [[ $ONESHOT == yes ]]; then continue; fi
        # To stop takes as long as the unit may take: etcd with watchers seven seconds, at most the minute of its unit. Only then
        # does the time to come up begin.
        tries=0 stopping=0
        while :; do
            state=$(systemctl show -p ActiveState --value "$unit")
            sub=$(systemctl show -p SubState --value "$unit")
            if [[ $state == active || $state == failed ]]; then break; fi
            if [[ $state == deactivating && $stopping -lt 150 ]]; then stopping=$((stopping + 1)); else tries=$((tries + 1)); fi
            if [[ $tries -ge 10 ]]; then break; fi
            sleep 0.5
        done
        case $unit:$state/$sub in
            *:active/*) say "$unit is active" ;;
            etcd.service:activating/start)
                say "etcd runs and waits for its peers: that is as it should be until a majority is installed" ;;
            *) finish 1 "$unit does not come up: $state/$sub (see journalctl -u $unit)" ;;
        esac
    done
}

write_receipt() {
    local new=$STATE/installed.new name cluster_id host now own=()
    rm -rf -- "$new"
    mkdir -p -- "$new"
    for name in MANIFEST.json README.md up.sh verify.sh rollback.sh uninstall.sh reconfigure.sh; do
        if [[ -f $name ]]; then own+=("$name"); fi
    done
    cp -t "$new" -- "${own[@]}"
    chmod 0700 -- "$new"/*.sh
    rm -rf -- "$STATE/installed"
    mv -T -- "$new" "$STATE/installed"
    cluster_id=$(field clusterId)
    host=$(field host)
    digest "$MANIFEST"
    now=$(date -u +%FT%TZ)
    cat >"$RECEIPT.new" <<END
{
"schema": "khagen-receipt/v1",
"cluster": "$CLUSTER",
"clusterId": "$cluster_id",
"host": "$host",
"generation": $GENERATION,
"manifest": "$DIGEST",
"backup": "$BACKUP",
"installed": "$now"
}
END
    sync
    mv -f -T -- "$RECEIPT.new" "$RECEIPT"
}

main() {
    local todo state host
    while [[ $# -gt 0 ]]; do
        case $1 in
            --dry-run) DRY=yes ;;
            --packages) [[ -d ${2-} ]] || finish 64 "--packages needs a folder"
                PACKAGES=$(cd -- "$2" && pwd -P); shift ;;
            --help | -h) show_usage; finish 0 ;;
            *) show_usage >&2; finish 64 ;;
        esac
        shift
    done
    need_root
    check_integrity
    check_host
    host=$(field host)
    state=$(field state)
    if [[ $state == retired ]]; then
        finish 6 "$host is retired: nothing is installed here any more. Run $HERE/uninstall.sh --dry-run, then --yes"
    fi
    load_manifest
    check_manifest
    check_receipt
    check_clock
    load_packages
    check_packages
    if [[ ${#DEBS_TODO[@]} -eq 0 ]]; then check_commands; fi
    if [[ -z $DRY ]]; then
        take_lock
        recover
        INSTALLED=''
        check_receipt       # recovering may have changed it
        find_missing
        check_packages
        check_packages_room
        if [[ ${#DEBS_TODO[@]} -gt 0 ]]; then
            install_debs
            check_commands
        else
            release_services
        fi
    elif [[ -f $PENDING ]]; then
        say "an earlier run was cut off: install.sh would first put back what was there before it"
    fi
    plan
    todo=$((${#ACTIONS[@]} + ${#UNIT_ACTIONS[@]} + ${#DEBS_TODO[@]}))
    if [[ $todo -eq 0 && $INSTALLED == yes ]]; then
        if [[ -z $DRY && -f $RESTART_LATER ]]; then rm -f -- "$RESTART_LATER"; fi
        finish 0 "generation $GENERATION is installed: nothing to do"
    fi
    if [[ -n $DRY ]]; then
        show_debs
        show_plan
        if [[ $todo -eq 0 ]]; then result "record generation $GENERATION (no file differs)"; fi
        finish 2 "dry run: nothing was written"
    fi
    check_room
    open_log
    say "$host, generation $GENERATION"
    if [[ ${#ACTIONS[@]} -gt 0 ]]; then validate; fi
    back_up
    UNDO=undo
    mark_pending "$BACKUP"
    show_plan
    apply
    check_result
    write_receipt
    UNDO=''
    rm -f -- "$RESTART_LATER"
    clear_pending
    say "generation $GENERATION is installed; what was there before is kept in $STATE/backups/$BACKUP"
    say "next: $HERE/up.sh"
    finish 0
}

main "$@"

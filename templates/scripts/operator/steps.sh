# ---- steps: what a rollout file says, whether it may be done, and where an earlier run ended ----
FILE=''
PLAN=()             # its lines
PROGRESS=''
STOP_AFTER=''
CONFIRMED=()
COUNT=0             # steps; the arrays below have one entry each, from 1
ACTION=() HOSTS_OF=() BEFORE=() AFTER=() NOTE=()
MEMBERS=()          # of etcd before the step, by what FILE says
AFTER_MEMBERS=()    # that should serve when it is done
SCARCE=()           # "yes" where one or two members are all that etcd has
DONE=0              # steps that are done
BEGUN=''            # "yes": an earlier run began the next one
LINES=()            # of the progress file
declare -A ADDRESS=() LOGIN=() PORT=() ROLES=() NODE=()
STEP_HOSTS=()
in_step() { read -r -a STEP_HOSTS <<<"${HOSTS_OF[$1]//,/ }"; }
sum_of() { local sum; sum=$(sha256sum -- "$1"); printf '%s' "${sum%% *}"; }

# head_of KEY: sets HEAD.
head_of() {
    local line
    HEAD=''
    for line in "${PLAN[@]}"; do
        if [[ -z $HEAD && $line == "# $1"$'\t'* ]]; then HEAD=${line#*$'\t'}; fi
    done
}
# No other program reads FILE: a list that is cut short would pass for one that is done.
read_file() {
    local line number action hosts before after note columns control=$'[\001-\010\013-\037\177]' cluster id
    [[ -r $FILE && -f $FILE ]] || finish 6 "$FILE is not there, or cannot be read"
    mapfile -t PLAN <"$FILE" 2>/dev/null
    [[ ${PLAN[0]-} == $'# khagen-rollout\tv1' ]] || finish 64 "$FILE is no rollout file of a kind that this script knows"
    head_of cluster; cluster=$HEAD
    head_of clusterId; id=$HEAD
    if [[ $cluster != "$(field cluster)" || $id != "$(field clusterId)" ]]; then
        finish 5 "$FILE is for cluster $cluster ($id), this folder for $(field cluster) ($(field clusterId))"
    fi
    for number in "${!PLAN[@]}"; do
        line=${PLAN[number]}
        if [[ -z $line || $line == '#'* ]]; then continue; fi
        columns=${line//[!$'\t']/}
        [[ ${#columns} -eq 5 && ${line%%$'\t'*} == "$((COUNT + 1))" ]] ||
            finish 64 "$FILE, line $((number + 1)): not six columns, or not the next step"
        COUNT=$((COUNT + 1))
        # A blank that is a separator of its own, since read takes several tabs for one.
        line=${line//$control/}
        IFS=$'\x1f' read -r _ action hosts before after note <<<"${line//$'\t'/$'\x1f'}"
        if [[ $hosts == - ]]; then hosts=''; fi
        ACTION[COUNT]=$action HOSTS_OF[COUNT]=$hosts BEFORE[COUNT]=$before AFTER[COUNT]=$after NOTE[COUNT]=$note
    done
    [[ $COUNT -gt 0 ]] || finish 0 "$FILE has no step: nothing to do"
}
read_fleet() {
    local entry fqdn address user port roles node
    LEAVING=yes
    read_hosts
    for entry in "${FLEET[@]}"; do
        IFS=$'\t' read -r fqdn address user port roles _ node _ <<<"$entry"
        [[ $fqdn =~ ^[a-z0-9.-]+$ ]] || finish 1 "hosts.tsv: '$fqdn' is no host name"
        ADDRESS[$fqdn]=$address LOGIN[$fqdn]=$user PORT[$fqdn]=$port ROLES[$fqdn]=$roles NODE[$fqdn]=$node
    done
}
check_steps() {
    local n gate fqdn seen
    for ((n = 1; n <= COUNT; n++)); do
        in_step "$n"
        case ${ACTION[n]} in
            install | up | uninstall | drain | uncordon | delete-node | member-remove | reconfigure:upload-config | \
                reconfigure:control-plane | reconfigure:certificates | reconfigure:kubelet-config | reconfigure:kubelet-flags | \
                reconfigure:kubelet-credentials | reconfigure:cluster-info | reconfigure:kube-proxy | reconfigure:coredns | reconfigure:upgrade)
                [[ ${#STEP_HOSTS[@]} -gt 0 ]] || finish 64 "step $n: ${ACTION[n]} needs hosts" ;;
            label | manual) ;;
            *) finish 64 "step $n: this script knows no action '${ACTION[n]}'" ;;
        esac
        for gate in ${BEFORE[n]//,/ } ${AFTER[n]//,/ }; do
            case $gate in
                - | etcd | api | vip) ;;
                apiserver | node | verify) [[ ${#STEP_HOSTS[@]} -gt 0 ]] || finish 64 "step $n: the gate $gate needs hosts" ;;
                *) finish 64 "step $n: this script knows no gate '$gate'" ;;
            esac
        done
        seen=' '
        for fqdn in "${STEP_HOSTS[@]}"; do
            [[ -n ${ADDRESS[$fqdn]-} ]] || finish 5 "step $n: $fqdn is not in hosts.tsv: $FILE and this folder are of different builds"
            [[ $seen != *" $fqdn "* ]] || finish 64 "step $n names $fqdn twice"
            seen+="$fqdn "
            case ${ACTION[n]}:${BEFORE[n]},${AFTER[n]} in
                drain:* | uncordon:* | delete-node:* | *[:,]node,* | *[:,]node)
                    [[ ${NODE[$fqdn]} != - ]] || finish 64 "step $n: $fqdn is no node" ;;
            esac
        done
    done
    for n in "${CONFIRMED[@]}" ${STOP_AFTER:+"$STOP_AFTER"}; do
        [[ $n -ge 1 && $n -le $COUNT ]] || finish 64 "there is no step $n, the last is $COUNT"
    done
}
# Done by a script of the host's bundle.
on_hosts() { case $1 in install | up | uninstall | reconfigure:*) return 0 ;; esac; return 1; }
# May it stop an etcd that runs on the host? The procedures of reconfigure.sh are Kubernetes' own.
stops_etcd() { case $1 in install | up | uninstall) return 0 ;; esac; return 1; }
# Counted from what FILE says of the members, whatever its gates are: who is touched does not serve meanwhile.
check_majority() {
    local n fqdn members down=() touched serve all rest
    head_of etcd
    read -r -a members <<<"${HEAD//,/ }"
    if [[ ${members[*]} == - ]]; then members=(); fi
    for ((n = 1; n <= COUNT; n++)); do
        in_step "$n"
        touched=0 serve=0 rest=()
        for fqdn in "${members[@]}"; do
            if member_of "$fqdn" "${STEP_HOSTS[@]}"; then touched=$((touched + 1)); continue; fi
            rest+=("$fqdn")
            if ! member_of "$fqdn" "${down[@]}"; then serve=$((serve + 1)); fi
        done
        all=${#members[@]}
        MEMBERS[n]=${members[*]}
        if stops_etcd "${ACTION[n]}" && [[ $touched -gt 0 && $serve -le $((all / 2)) ]]; then
            if [[ $all -gt 2 || $touched -gt 1 ]]; then
                finish 6 "step $n is refused: $serve of $all members of etcd would serve meanwhile, $((all / 2 + 1)) are needed"
            fi
            SCARCE[n]=yes
        fi
        case ${ACTION[n]} in
            uninstall) down+=("${STEP_HOSTS[@]}") ;;
            up) for fqdn in "${STEP_HOSTS[@]}"; do
                    if role_of "${ROLES[$fqdn]}" etcd && ! member_of "$fqdn" "${members[@]}"; then members+=("$fqdn"); fi
                done ;;
            member-remove)
                if [[ ${#rest[@]} -eq 0 || ($touched -gt 1 && $serve -le $((all / 2))) ]]; then
                    finish 6 "step $n is refused: of $all members of etcd $touched would leave at once"
                fi
                members=("${rest[@]}") ;;
        esac
        # who should serve once the step is done
        rest=()
        for fqdn in "${members[@]}"; do if ! member_of "$fqdn" "${down[@]}"; then rest+=("$fqdn"); fi; done
        AFTER_MEMBERS[n]=${rest[*]}
    done
}
expected_before() { if [[ $1 -gt 1 ]]; then printf '%s' "${AFTER_MEMBERS[$1 - 1]}"; else printf '%s' "${MEMBERS[1]}"; fi; }

# ---- where an earlier run ended ----

read_progress() {
    local line number state sum was=()
    sum=$(sum_of "$FILE")
    LINES=($'# khagen-rollout-progress\tv1' "# file"$'\t'"$sum")
    if [[ ! -e $PROGRESS ]]; then return 0; fi
    [[ -f $PROGRESS && -r $PROGRESS ]] || finish 1 "$PROGRESS cannot be read"
    mapfile -t was <"$PROGRESS" 2>/dev/null
    if [[ ${was[0]-} != "${LINES[0]}" ]]; then finish 4 "$PROGRESS is none of this script's"; fi
    if [[ ${was[1]-} != "${LINES[1]}" ]]; then
        finish 5 "$FILE is not the file that was begun ($PROGRESS). Put that one back, or remove $PROGRESS to begin from step 1"
    fi
    for line in "${was[@]}"; do
        if [[ $line == '#'* ]]; then continue; fi
        IFS=$'\t' read -r number state _ <<<"$line"
        if [[ $number != $((DONE + 1)) ]]; then finish 4 "$PROGRESS does not count as it should at step $number"; fi
        case $state in
            begun) BEGUN=yes ;;
            done) DONE=$number BEGUN='' ;;
            *) finish 4 "$PROGRESS: '$state' is nothing that this script writes" ;;
        esac
    done
    LINES=("${was[@]}")
}
# keep N STATE: on the disk before anything else happens.
keep() {
    local now
    now=$(date -u +%FT%TZ)
    LINES+=("$1"$'\t'"$2"$'\t'"$now")
    printf '%s\n' "${LINES[@]}" >"$PROGRESS.new"
    sync -- "$PROGRESS.new"
    mv -f -T -- "$PROGRESS.new" "$PROGRESS"
}
# ---- end of steps ----

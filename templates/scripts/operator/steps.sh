# ---- steps: what a rollout file says, whether it may be done, and where an earlier run ended ----
FILE=''
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

head_of() { sed -n "s/^# $1\t//p" "$FILE" | head -n 1; }
read_file() {
    local number action hosts before after note odd
    [[ -r $FILE && -f $FILE ]] || finish 6 "$FILE is not there, or cannot be read"
    [[ $(head -n 1 -- "$FILE") == $'# khagen-rollout\tv1' ]] || finish 64 "$FILE is no rollout file of a kind that this script knows"
    if [[ $(head_of cluster) != "$(field cluster)" || $(head_of clusterId) != "$(field clusterId)" ]]; then
        finish 5 "$FILE is for cluster $(head_of cluster) ($(head_of clusterId)), this folder for $(field cluster) ($(field clusterId))"
    fi
    odd=$(awk -F '\t' '/^#/ || $0 == "" { next } NF != 6 || $1 "" != ++n "" { print NR; exit }' "$FILE")
    if [[ -n $odd ]]; then finish 64 "$FILE, line $odd: not six columns, or not the next step"; fi
    # A blank that is a separator of its own, since read takes several tabs for one.
    while IFS=$'\x1f' read -r number action hosts before after note; do
        COUNT=$number
        if [[ $hosts == - ]]; then hosts=''; fi
        ACTION[number]=$action HOSTS_OF[number]=$hosts BEFORE[number]=$before AFTER[number]=$after NOTE[number]=$note
    done < <(grep -v -e '^#' -e '^$' -- "$FILE" | tr '\t' '\037' | tr -d '\000-\011\013-\036\177')
    [[ $COUNT -gt 0 ]] || finish 0 "$FILE has no step: nothing to do"
}
read_fleet() {
    local fqdn address user port roles node
    LEAVING=yes
    while IFS=$'\t' read -r fqdn address user port roles _ node _; do
        [[ $fqdn =~ ^[a-z0-9.-]+$ ]] || finish 1 "hosts.tsv: '$fqdn' is no host name"
        ADDRESS[$fqdn]=$address LOGIN[$fqdn]=$user PORT[$fqdn]=$port ROLES[$fqdn]=$roles NODE[$fqdn]=$node
    done < <(chosen)
}
check_steps() {
    local n gate fqdn seen
    for ((n = 1; n <= COUNT; n++)); do
        in_step "$n"
        case ${ACTION[n]} in
            install | up | uninstall | drain | uncordon | delete-node | member-remove | reconfigure:upload-config | \
                reconfigure:control-plane | reconfigure:certificates | reconfigure:kubelet-config | reconfigure:kubelet-flags | \
                reconfigure:kube-proxy | reconfigure:coredns | reconfigure:upgrade)
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
    read -r -a members < <(head_of etcd | tr ',' ' ')
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
    local number state
    LINES=($'# khagen-rollout-progress\tv1' "# file"$'\t'"$(sum_of "$FILE")")
    if [[ ! -e $PROGRESS ]]; then return 0; fi
    if [[ $(head -n 1 -- "$PROGRESS") != "${LINES[0]}" ]]; then finish 4 "$PROGRESS is none of this script's"; fi
    if [[ $(sed -n 2p -- "$PROGRESS") != "${LINES[1]}" ]]; then
        finish 5 "$FILE is not the file that was begun ($PROGRESS). Put that one back, or remove $PROGRESS to begin from step 1"
    fi
    while IFS=$'\t' read -r number state _; do
        if [[ $number != $((DONE + 1)) ]]; then finish 4 "$PROGRESS does not count as it should at step $number"; fi
        case $state in
            begun) BEGUN=yes ;;
            done) DONE=$number BEGUN='' ;;
            *) finish 4 "$PROGRESS: '$state' is nothing that this script writes" ;;
        esac
    done < <(grep -v '^#' -- "$PROGRESS")
    mapfile -t LINES <"$PROGRESS"
}
# keep N STATE: on the disk before anything else happens.
keep() {
    LINES+=("$1"$'\t'"$2"$'\t'"$(date -u +%FT%TZ)")
    printf '%s\n' "${LINES[@]}" >"$PROGRESS.new"
    sync -- "$PROGRESS.new"
    mv -f -T -- "$PROGRESS.new" "$PROGRESS"
}
# ---- end of steps ----

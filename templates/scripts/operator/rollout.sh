#!/bin/bash
# Usage: rollout.sh FILE [--dry-run] [--from DIR] [--wait SECONDS] [--stop-after N] [--confirm N]...
#
# Walks FILE, which `khagen diff --rollout FILE` wrote, after distribute.sh: step by step, with the
# gates that FILE names before and after each. Hosts of one step are done together. What is done
# is kept in FILE.progress, what was said in FILE.log: run it again and it goes on where it ended,
# whatever ended it. Ctrl-C stops after the current step; a second one stops at once, and what
# runs on the hosts then goes on to its own end.
#
#   --dry-run        print what is left to do, each command as it can be typed by hand; exit 2
#   --from DIR       where the hosts' tarballs are (default: the folder that holds operator/)
#   --wait SECONDS   how long a gate after a step may take (default 300); up.sh and reconfigure.sh
#                    get it too
#   --stop-after N   stop when step N is done
#   --confirm N      step N, which is yours to do by hand, is done; or you mean it although etcd
#                    has too few members to serve meanwhile. May be repeated
#
# Exit codes: 0 done, or stopped where asked; 1 error (a host was not reached, a command failed), 2
# dry run, 4 a bundle or an installed file is damaged, 5 FILE is another cluster's, or not the one
# that was begun, 6 a precondition is not met: a gate, a missing command, a step that would leave
# etcd without a majority, a step for --confirm. 64 usage, or FILE is none that this script knows.

# @include prelude.sh
# @include probe.sh
# @include operator/fleet.sh
# @include operator/gates.sh
# @include operator/steps.sh

WAIT=300
AT_ONCE=16          # hosts at a time; a step may have a thousand
STOP=''             # asked to stop when the step has ended
STEP_ACTION=''

clean() { if [[ -n $WORK ]]; then rm -rf -- "$WORK"; fi; }
stop_asked() {
    if [[ -n $STOP ]]; then finish 1 "stopped at once. What runs on the hosts goes on there to its end; then run this again"; fi
    STOP=yes
    say "stopping when the current step has ended (once more: at once)"
}
joined() { local IFS=,; printf '%s' "$*"; }

# ---- what must be here before anything is done ----

check_tools() {
    local n gate wanted=(openssl flock timeout tar) missing=() files=() command
    for ((n = DONE + 1; n <= COUNT; n++)); do
        case ${ACTION[n]} in
            drain | uncordon | delete-node | label) wanted+=(kubectl) files+=(admin.conf) ;;
            member-remove) wanted+=(etcdctl) ;;
        esac
        for gate in ${BEFORE[n]//,/ } ${AFTER[n]//,/ }; do
            case $gate in
                node) wanted+=(kubectl) files+=(admin.conf) ;;
                api | vip | apiserver) files+=(admin.conf) ;;
                etcd) files+=(etcd/ca.crt etcd/operator.crt etcd/operator.key etcd/endpoints) ;;
            esac
        done
        if [[ -n ${MEMBERS[n]} ]]; then files+=(etcd/ca.crt etcd/operator.crt etcd/operator.key etcd/endpoints); fi
    done
    for command in "${wanted[@]}"; do
        command -v "$command" >/dev/null || member_of "$command" "${missing[@]}" || missing+=("$command")
    done
    for command in "${files[@]}"; do
        [[ -r $HERE/$command ]] || member_of "$HERE/$command" "${missing[@]}" || missing+=("$HERE/$command")
    done
    if [[ ${#missing[@]} -gt 0 ]]; then finish 6 "missing on this machine: $(joined "${missing[@]}"). Nothing was done"; fi
}
# same_bundle HOST: an old bundle's install.sh would find nothing to do, and nobody would notice.
same_bundle() {
    local here there code=0
    here=$(tar -xzOf "$FROM/$1.tar.gz" "$1/SHA256SUMS" | sha256sum) || return 9
    there=$(on_host "sha256sum $INCOMING/$1/SHA256SUMS") || code=$?
    # 1: it is not there
    if [[ $code -gt 1 ]]; then return "$code"; fi
    [[ ${here%% *} == "${there%% *}" ]] || return 10
}
check_bundles() {
    local n fqdn hosts=() stale=() silent=() absent=() broken=()
    local -A met=()
    for ((n = DONE + 1; n <= COUNT; n++)); do
        in_step "$n"
        if ! on_hosts "${ACTION[n]}"; then continue; fi
        for fqdn in "${STEP_HOSTS[@]}"; do
            if [[ -z ${met[$fqdn]-} ]]; then hosts+=("$fqdn"); fi
            met[$fqdn]=yes
        done
    done
    if [[ ${#hosts[@]} -eq 0 ]]; then return 0; fi
    for fqdn in "${hosts[@]}"; do if [[ ! -f $FROM/$fqdn.tar.gz ]]; then absent+=("$fqdn"); fi; done
    if [[ ${#absent[@]} -gt 0 ]]; then finish 6 "not in $FROM (say --from DIR): the tarballs of $(joined "${absent[@]}"). Nothing was done"; fi
    say "asking ${#hosts[@]} hosts whether they have their bundles"
    on_each same_bundle "${hosts[@]}"
    for fqdn in "${hosts[@]}"; do
        case $(code_of "$fqdn") in 0) ;; 10) stale+=("$fqdn") ;; 255) silent+=("$fqdn") ;; *) broken+=("$fqdn") ;; esac
    done
    if [[ ${#broken[@]} -gt 0 ]]; then finish 1 "cannot tell whether these have the bundle that is in $FROM: $(joined "${broken[@]}"). Nothing was done"; fi
    if [[ ${#silent[@]} -gt 0 ]]; then finish 6 "not reached by ssh: $(joined "${silent[@]}"). Nothing was done"; fi
    if [[ ${#stale[@]} -gt 0 ]]; then finish 6 "these have not got the bundle that is here: $(joined "${stale[@]}"). Run $HERE/distribute.sh; nothing was done"; fi
}

# ---- the steps ----

# on_each FUNCTION HOST...: for each host, several at once; stops beginning others when one fails.
on_each() {
    local function=$1 fqdn running=()
    shift
    # also where a gate asks: there nothing ends by itself
    rm -f -- "$WORK"/code.* "$WORK"/out.* "$WORK"/at.* "$WORK"/failed || finish 1
    for fqdn in "$@"; do
        while :; do
            read -r -d '' -a running <<<"$(jobs -r -p)" || :
            if [[ ${#running[@]} -lt $AT_ONCE ]]; then break; fi
            wait -n || :
        done
        if [[ -e $WORK/failed ]]; then break; fi
        one_host "$function" "$fqdn" 8<&- &
    done
    # a signal ends wait, not the jobs
    while [[ -n $(jobs -r -p) ]]; do wait -n || :; done
}
# What only asks is asked of all, and its output is kept for whoever wants it.
one_host() {
    local code=0
    # Ctrl-C reaches all that runs here; what was begun on a host is seen to its end.
    trap '' HUP INT TERM
    if [[ ${ADDRESS[$2]-} ]]; then ssh_words "${ADDRESS[$2]}" "${LOGIN[$2]}" "${PORT[$2]}"; fi
    case $1 in
        same_bundle | verified | installed_verified) "$1" "$2" >"$WORK/out.$2" 2>&1 || code=$? ;;
        *)
            { "$1" "$2" || echo "$?" >"$WORK/failed.$2"; } 2>&1 | sed -u "s/^/$2: /" | tee -a "$LOG" >&2
            if [[ -e $WORK/failed.$2 ]]; then code=$(<"$WORK/failed.$2"); mv -- "$WORK/failed.$2" "$WORK/failed"; fi ;;
    esac
    printf '%s' "$code" >"$WORK/code.$2"
}
code_of() { if [[ -f $WORK/code.$1 ]]; then printf '%s' "$(<"$WORK/code.$1")"; fi; }
bastion() { if [[ -n $DRY ]]; then result "$(quoted "$@")"; else "$@" </dev/null; fi; }
on_it() {
    local script=${1##*/}
    printf '%s' "${script%% *}" >"$WORK/at.$FQDN"
    on_host "$1"
}

# act HOST: the current step there; its code is that of the first script that fails.
act() {
    local bundle=$INCOMING/$1
    FQDN=$1
    case $STEP_ACTION in
        install) on_it "$bundle/install.sh" ;;
        up) on_it "$bundle/install.sh" && on_it "$bundle/up.sh --wait $WAIT" ;;
        reconfigure:*) on_it "$bundle/reconfigure.sh ${STEP_ACTION#*:} --wait $WAIT" ;;
        uninstall) on_it "$bundle/uninstall.sh --yes --reset" ;;
        drain) bastion kubectl --kubeconfig="$HERE/admin.conf" drain "${NODE[$1]}" --ignore-daemonsets --delete-emptydir-data "--timeout=${WAIT}s" ;;
        uncordon) bastion kubectl --kubeconfig="$HERE/admin.conf" uncordon "${NODE[$1]}" ;;
        delete-node) bastion kubectl --kubeconfig="$HERE/admin.conf" delete node "${NODE[$1]}" --ignore-not-found ;;
        member-remove) remove_member "${1%%.*}" ;;
        label) label_nodes ;;
    esac
}
label_nodes() {
    local fqdn words=()
    for fqdn in "${STEP_HOSTS[@]}"; do words+=(--host "$fqdn"); done
    bastion "$HERE/label-workers.sh" "${words[@]}"
}
remove_member() {
    local line id='' name listed urls ctl
    urls=$(<"$HERE/etcd/endpoints")
    ctl=(etcdctl "--endpoints=${urls//$'\n'/,}" "--cacert=$HERE/etcd/ca.crt" "--cert=$HERE/etcd/operator.crt" "--key=$HERE/etcd/operator.key")
    if [[ -n $DRY ]]; then result "$(quoted "${ctl[@]}" member remove "ID-OF-$1")"; return 0; fi
    listed=$("${ctl[@]}" member list </dev/null) || return 1
    while IFS= read -r line; do
        IFS='|' read -r line _ name _ <<<"${line//, /|}"
        if [[ $name == "$1" ]]; then id=$line; fi
    done <<<"$listed"
    if [[ -z $id ]]; then echo "etcd has no member $1 (any more)"; return 0; fi
    "${ctl[@]}" member remove "$id" </dev/null
}
# Before a step the host is judged by what is installed there, after it by its bundle.
installed_verified() { on_host "/var/lib/khagen/installed/verify.sh --quiet"; }
verified() { on_host "$INCOMING/$1/verify.sh --quiet"; }
# gate_verify FUNCTION HOST...
gate_verify() {
    local fqdn code worst=0 bad=''
    on_each "$@"
    shift
    for fqdn in "$@"; do
        code=$(code_of "$fqdn")
        if [[ $code == 0 ]]; then continue; fi
        bad=$fqdn
        if [[ $code == 4 ]]; then worst=4; break; fi
        worst=1
    done
    GOOD="verify.sh is content on $# hosts"
    if [[ -n $bad ]]; then WHY="verify.sh on $bad: $(tail -n 3 "$WORK/out.$bad" 2>/dev/null | tr '\n' ';') (code ${code:-unknown})"; fi
    return "$worst"
}

# gate NAME N before|after: one look.
gate() {
    local fqdn may_fail='' nodes=()
    in_step "$2"
    case $1 in
        -) GOOD=nothing ;;
        etcd)
            if [[ $3 == before ]]; then
                # what an earlier run left ill on the step's own hosts is what the step is to cure
                if [[ -n $BEGUN ]]; then may_fail=${STEP_HOSTS[*]}; fi
                gate_etcd "$(expected_before "$2")" "$may_fail"
            else
                gate_etcd "${AFTER_MEMBERS[$2]}" ''
            fi ;;
        api) gate_api ;;
        vip) if [[ $3 == before ]]; then gate_vip 1; else gate_vip 5; fi ;;
        apiserver) gate_apiserver "${STEP_HOSTS[@]}" ;;
        node)
            for fqdn in "${STEP_HOSTS[@]}"; do nodes+=("${NODE[$fqdn]}"); done
            gate_node "${nodes[@]}" ;;
        verify) if [[ $3 == before ]]; then gate_verify installed_verified "${STEP_HOSTS[@]}"; else gate_verify verified "${STEP_HOSTS[@]}"; fi ;;
    esac
}
# pass NAME N before|after SECONDS: until the gate holds, or the time is over.
pass() {
    local begin=$SECONDS code
    while :; do
        code=0
        gate "$1" "$2" "$3" || code=$?
        case $code in
            0) say "  $3: $GOOD$(if [[ $((SECONDS - begin)) -gt 1 ]]; then printf ' (after %s s)' "$((SECONDS - begin))"; fi)"; return 0 ;;
            4) finish 4 "step $2, $3: $WHY. Nothing after it is touched" ;;
        esac
        if [[ -n $STOP ]]; then finish 1 "stopped while waiting for the gate $1 of step $2: $WHY. Run this again to go on"; fi
        if [[ $((SECONDS - begin)) -ge $4 ]]; then
            finish 6 "step $2: the gate $1 $3 it does not hold$(if [[ $3 == after ]]; then printf ' after %s s' "$4"; fi): $WHY. Nothing after it is touched; cure it and run this again"
        fi
        sleep 1
    done
}

run_step() {
    local n=$1 gate fqdn code
    in_step "$n"
    say "step $n of $COUNT: ${ACTION[n]}${HOSTS_OF[n]:+ on ${HOSTS_OF[n]}}${BEGUN:+ (begun before)}${NOTE[n]:+: ${NOTE[n]}}"
    if [[ ${ACTION[n]} == manual ]] && ! member_of "$n" "${CONFIRMED[@]}"; then
        finish 6 "step $n is yours to do: ${NOTE[n]}. Then run this again with --confirm $n"
    fi
    for gate in ${BEFORE[n]//,/ }; do
        case $BEGUN:$gate in
            yes:apiserver | yes:node | yes:verify) say "  before: $gate is not asked, since the step was begun"; continue ;;
        esac
        pass "$gate" "$n" before 2
    done
    if stops_etcd "${ACTION[n]}" && touches_member "$n" && [[ -z ${SCARCE[n]-} ]]; then
        quorum_without "${STEP_HOSTS[@]}" || finish 6 "step $n is not begun: $WHY. Cure it and run this again"
    fi
    if [[ -z $BEGUN ]]; then keep "$n" begun; fi
    STEP_ACTION=${ACTION[n]}
    case $STEP_ACTION in
        manual) ;;
        label) on_each act bastion ;;
        member-remove) AT_ONCE=1 on_each act "${STEP_HOSTS[@]}" ;;
        *) on_each act "${STEP_HOSTS[@]}" ;;
    esac
    if [[ $STEP_ACTION != manual ]]; then check_codes "$n"; fi
    for gate in ${AFTER[n]//,/ }; do pass "$gate" "$n" after "$WAIT"; done
    keep "$n" "done"
    BEGUN=''
    DONE=$n
}
touches_member() {
    local fqdn members
    read -r -a members <<<"${MEMBERS[$1]}"
    for fqdn in "${STEP_HOSTS[@]}"; do if member_of "$fqdn" "${members[@]}"; then return 0; fi; done
    return 1
}
# The first host that failed speaks for all; those that were not begun are named.
check_codes() {
    local fqdn code bad='' first=0 waiting=() script=''
    if [[ $STEP_ACTION == label ]]; then STEP_HOSTS=(bastion); fi
    for fqdn in "${STEP_HOSTS[@]}"; do
        code=$(code_of "$fqdn")
        case $code in
            0) ;;
            '') waiting+=("$fqdn") ;;
            *) if [[ -z $bad ]]; then bad=$fqdn first=$code; else say "$fqdn: failed too (code $code)"; fi ;;
        esac
    done
    if [[ -z $bad && ${#waiting[@]} -gt 0 ]]; then
        finish 1 "step $1: how it ended on $(joined "${waiting[@]}") is not known (see above). Nothing after it is touched; run this again"
    fi
    if [[ -z $bad ]]; then return 0; fi
    if [[ ${#waiting[@]} -gt 0 ]]; then say "not begun: $(joined "${waiting[@]}")"; fi
    if [[ -f $WORK/at.$bad ]]; then script=$(<"$WORK/at.$bad"); fi
    if [[ $STEP_ACTION == label ]]; then script=label; fi
    case $first:$script in
        6:label) finish 6 "step $1: $STEP_ACTION was refused (see above). Nothing after it is touched; cure it and run this again" ;;
        *:label) finish 1 "step $1: $STEP_ACTION failed (code $first; see above). Nothing after it is touched; cure it and run this again" ;;
        255:?*) finish 1 "step $1: ssh to $bad did not get through, or broke off. Nothing after it is touched; run this again" ;;
        [456]:?*) finish "$first" "step $1: $script on $bad ended with $first; its reason is above and in /var/log/khagen/${script%.sh}.log there. Nothing after it is touched; cure it and run this again" ;;
        *:?*) finish 1 "step $1: $script on $bad ended with $first; its reason is above and in /var/log/khagen/${script%.sh}.log there. Nothing after it is touched; cure it and run this again" ;;
        *) finish 1 "step $1: $STEP_ACTION for $bad failed (code $first; see above). Nothing after it is touched; cure it and run this again" ;;
    esac
}

# Printed as it would be done, left out what is done.
show_steps() {
    local n fqdn
    for ((n = DONE + 1; n <= COUNT; n++)); do
        in_step "$n"
        result "# step $n: ${ACTION[n]}${HOSTS_OF[n]:+ on ${HOSTS_OF[n]}}, before: ${BEFORE[n]}, after: ${AFTER[n]}${NOTE[n]:+ (${NOTE[n]})}"
        STEP_ACTION=${ACTION[n]}
        case $STEP_ACTION in
            manual) ;;
            label) act bastion ;;
            *) for fqdn in "${STEP_HOSTS[@]}"; do
                    ssh_words "${ADDRESS[$fqdn]}" "${LOGIN[$fqdn]}" "${PORT[$fqdn]}"
                    act "$fqdn"
                done ;;
        esac
    done
}

main() {
    local n code
    while [[ $# -gt 0 ]]; do
        case $1 in
            --from) [[ -d ${2-} ]] || finish 64 "--from needs a folder"
                FROM=$2; shift ;;
            --wait) [[ ${2-} =~ ^[0-9]+$ ]] || finish 64 "--wait needs seconds"
                WAIT=$2; shift ;;
            --stop-after) [[ ${2-} =~ ^[1-9][0-9]*$ ]] || finish 64 "--stop-after needs the number of a step"
                STOP_AFTER=$2; shift ;;
            --confirm) [[ ${2-} =~ ^[1-9][0-9]*$ ]] || finish 64 "--confirm needs the number of a step"
                CONFIRMED+=("$2"); shift ;;
            --dry-run) DRY=yes ;;
            --help | -h) show_usage; finish 0 ;;
            -*) show_usage >&2; finish 64 ;;
            *) [[ -z $FILE ]] || finish 64 "one FILE at a time"
                FILE=$1 ;;
        esac
        shift
    done
    if [[ -z $FILE ]]; then show_usage >&2; finish 64; fi
    PROGRESS=$FILE.progress
    UNDO=clean
    WORK=$(mktemp -d)
    unset "${!ETCDCTL_@}"
    read_file
    read_fleet
    check_steps
    check_majority
    read_progress
    if [[ $DONE -eq $COUNT ]]; then finish 0 "all $COUNT steps are done: nothing to do"; fi
    if [[ -n $DRY ]]; then
        show_steps
        finish 2 "dry run: nothing was done; $((COUNT - DONE)) steps are left"
    fi
    if [[ -n $STOP_AFTER && $STOP_AFTER -le $DONE ]]; then finish 0 "step $STOP_AFTER is done already"; fi
    check_tools
    exec 8<"$FILE"
    # what a killed one was just asking may hold it for some seconds
    code=0
    flock -w 12 8 || code=$?
    case $code in 0) ;; 1) finish 6 "another rollout.sh is at work with $FILE" ;; *) finish 1 "flock ended with $code" ;; esac
    LOG=$FILE.log
    for ((n = DONE + 1; n <= COUNT; n++)); do
        if [[ -n ${SCARCE[n]-} ]] && ! member_of "$n" "${CONFIRMED[@]}"; then
            finish 6 "etcd has too few members to serve during step $n. Say --confirm $n if you mean it. Nothing was done"
        fi
    done
    check_bundles
    trap stop_asked HUP INT TERM
    for ((n = DONE + 1; n <= COUNT; n++)); do
        run_step "$n"
        if [[ $n == "$STOP_AFTER" ]]; then finish 0 "step $n is done; stopped here as asked"; fi
        if [[ -n $STOP && $n -lt $COUNT ]]; then finish 1 "step $n is done; stopped here. Run this again to go on with step $((n + 1))"; fi
    done
    finish 0 "all $COUNT steps are done. $HERE/verify-cluster.sh looks at everything"
}

main "$@"

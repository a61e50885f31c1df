#!/bin/bash
# Usage: label-workers.sh [--host NAME]... [--dry-run]
#
# Brings the nodes' labels and taints in line with the inventory: sets those that it has, and
# node-role.kubernetes.io/worker on workers (a kubelet may not give it to itself), and removes those
# that it had before and has no longer. What khagen has set it writes down in the cluster, in the
# ConfigMap kube-system/khagen-nodes. Whatever is not written there is somebody else's and stays; so
# does what somebody has given another value since. A node that is not in there yet (this script has
# not met it) loses nothing: what may be left over is only named.
#
# node-role.kubernetes.io/control-plane:NoSchedule, which kubeadm gives to control planes, stays as
# it is on those for which the inventory has no taints and which are no workers. Where the inventory
# decides, it is set or removed as well; where it no longer does, it is put back.
#
#   --host NAME   only this node's host (short name or FQDN); may be repeated
#   --dry-run     print the commands; exit 2, or 0 if there is nothing to do
#
# Exit codes: 0 done or nothing to do, 1 error, 2 dry run, 6 the cluster does not answer, or a node
# is not in it yet (the others are done), 64 usage.

# @include prelude.sh
# @include operator/fleet.sh

MARK='node-role.kubernetes.io/control-plane:NoSchedule'
KUBECTL=(kubectl "--kubeconfig=$HERE/admin.conf")
RECORD=khagen-nodes
KEPT=''                     # "yes": that ConfigMap is there

declare -A NODE_UID=()      # by node, as all of these
declare -A LABELS=()        # what it has, a comma before each
declare -A TAINTS=()
declare -A KNOWN=()         # what is written down of it: UID, labels, taints; "-" is none of them

# In Kubernetes' own words: a label is key=value, a taint key=value:effect or key:effect.
read -r -d '' NODES_TEMPLATE <<'END' || :
{{range .items}}{{printf "node\t%s %s\n" .metadata.name .metadata.uid}}
{{- range $key, $value := .metadata.labels}}{{printf "label\t%s=%s\n" $key $value}}{{end}}
{{- range .spec.taints}}{{printf "taint\t%s" .key}}{{with .value}}{{printf "=%s" .}}{{end}}{{printf ":%s\n" .effect}}{{end}}
{{- end}}
END
read -r -d '' RECORD_TEMPLATE <<'END' || :
there{{"\n"}}{{range $node, $known := .data}}{{printf "%s\t%s\n" $node $known}}{{end}}
END

# ask COMMAND...: sets SAID.
ask() {
    local code=0
    SAID=$("${KUBECTL[@]}" "$@" </dev/null) || code=$?
    case $code in
        0) ;;
        # its only answer to whatever goes wrong there
        1) finish 6 "the cluster does not answer, or not to admin.conf (see above)" ;;
        *) finish 1 "kubectl ended with $code" ;;
    esac
}
read_cluster() {
    local kind rest node=''
    ask get nodes -o "go-template=$NODES_TEMPLATE"
    while IFS=$'\t' read -r kind rest; do
        case $kind in
            node) node=${rest% *} NODE_UID[$node]=${rest#* } ;;
            label) LABELS[$node]+=,$rest ;;
            taint) TAINTS[$node]+=,$rest ;;
        esac
    done <<<"$SAID"
    ask -n kube-system get configmap "$RECORD" --ignore-not-found -o "go-template=$RECORD_TEMPLATE"
    while IFS=$'\t' read -r node rest; do
        if [[ $node == there && -z $rest ]]; then KEPT=yes; elif [[ -n $node ]]; then KNOWN[$node]=$rest; fi
    done <<<"$SAID"
}

# run COMMAND...: kubectl's; under --dry-run it is printed instead.
run() {
    local code=0
    if [[ -n $DRY ]]; then
        result "$(quoted "${KUBECTL[@]}" "$@")"
        return 0
    fi
    "${KUBECTL[@]}" "$@" </dev/null || code=$?
    if [[ $code -ne 0 ]]; then finish 1 "kubectl $1 ended with $code (see above). Run this again"; fi
}
# write_down ENTRIES: of a JSON object. On standard input, since a thousand nodes are more than a word of a command may hold.
write_down() {
    if [[ -z $1 || -n $DRY ]]; then return 0; fi
    if [[ -z $KEPT ]]; then run -n kube-system create configmap "$RECORD"; fi
    KEPT=yes
    "${KUBECTL[@]}" -n kube-system patch configmap "$RECORD" --type=merge --patch-file=/dev/stdin <<<"{\"data\": {$1}}" >/dev/null ||
        finish 1 "the ConfigMap kube-system/$RECORD could not be written (see above). Run this again"
}

# id_of ENTRY: sets ID, of which a node has one only: a label's key, a taint's key and effect.
id_of() {
    ID=${1%%=*}
    if [[ $1 == *:* ]]; then ID=${1%:*} ID=${ID%%=*}:${1##*:}; fi
}
# differ NODE WANTED THERE OURS, the last three lists: sets WORDS, kubectl's for what is to be done, and BOTH, what is ours
# until that is done.
differ() {
    local entry list
    local -A wanted=() there=() left=()
    WORDS=()
    BOTH=$2
    IFS=, read -r -a list <<<"$3"
    for entry in "${list[@]}"; do
        id_of "$entry"
        if [[ -n $ID ]]; then there[$ID]=$entry; fi
    done
    IFS=, read -r -a list <<<"$2"
    for entry in "${list[@]}"; do
        id_of "$entry"
        wanted[$ID]=yes
        if [[ ${there[$ID]-} != "$entry" ]]; then WORDS+=("$entry"); fi
    done
    IFS=, read -r -a list <<<"$4"
    for entry in "${list[@]}"; do
        if [[ ,$BOTH, == *,"$entry",* ]]; then continue; fi
        BOTH+=${BOTH:+,}$entry
        id_of "$entry"
        if [[ -z $ID || -n ${wanted[$ID]-} || -z ${there[$ID]-} ]]; then continue; fi
        if [[ ${there[$ID]} == "$entry" ]]; then
            WORDS+=("$ID-")
            there[$ID]=''
        else
            left[$ID]="$entry, which khagen had set, is ${there[$ID]} by now"
        fi
    done
    for ID in "${!left[@]}"; do if [[ -n ${there[$ID]} ]]; then say "$1: ${left[$ID]}: it stays"; fi; done
}
# left_over NODE WANTED: names what is neither the inventory's nor Kubernetes' own on a node that is not written down.
left_over() {
    local entry list found=''
    IFS=, read -r -a list <<<"${LABELS[$1]-}${TAINTS[$1]-}"
    for entry in "${list[@]}"; do
        case ${entry%%[=:]*} in
            '') continue ;;
            topology.kubernetes.io/*) ;;
            kubernetes.io/* | *.kubernetes.io/* | k8s.io/* | *.k8s.io/*) continue ;;
        esac
        if [[ ,$2, != *,"$entry",* ]]; then found+=" $entry"; fi
    done
    if [[ -n $found ]]; then
        say "$1: what khagen set before is not known yet. If one of these was khagen's, remove it by hand (kubectl label or taint, KEY-):$found"
    fi
}

main() {
    local entry fqdn roles node labels taints ours_labels ours_taints uid keeps both missing=0 before='' after=''
    local -A label_words=() taint_words=()
    local nodes=() words=()
    while [[ $# -gt 0 ]]; do
        case $1 in
            --host) [[ -n ${2-} ]] || finish 64 "--host needs a name"
                ONLY+=("$2"); shift ;;
            --dry-run) DRY=yes ;;
            --help | -h) show_usage; finish 0 ;;
            *) show_usage >&2; finish 64 ;;
        esac
        shift
    done
    read_hosts
    command -v kubectl >/dev/null || finish 6 "kubectl is not on this machine"
    read_cluster
    for entry in "${FLEET[@]}"; do
        IFS=$'\t' read -r fqdn _ _ _ roles _ node labels taints <<<"$entry"
        if [[ $node == - ]]; then continue; fi
        if [[ $labels == - ]]; then labels=''; fi
        if role_of "$roles" worker && [[ ,$labels != *,node-role.kubernetes.io/worker=* ]]; then labels=node-role.kubernetes.io/worker=${labels:+,$labels}; fi
        if [[ -z ${NODE_UID[$node]-} ]]; then
            if [[ -n $labels || $taints != - ]]; then
                say "$node is not in the cluster yet ($fqdn: up.sh)"
                missing=$((missing + 1))
            fi
            continue
        fi
        # A node of the same name that joined anew has another UID, and nothing of ours.
        read -r uid ours_labels ours_taints <<<"${KNOWN[$node]-}"
        if [[ $uid != "${NODE_UID[$node]}" ]]; then uid=''; fi
        if [[ -z $uid || $ours_labels == - ]]; then ours_labels=''; fi
        if [[ -z $uid ]]; then ours_taints=kubeadm; elif [[ $ours_taints == - ]]; then ours_taints=''; fi
        # What the mark of control planes is to be: the inventory's word, or nobody's.
        keeps=''
        case $taints in
            none) taints='' ;;
            -)  taints=''
                if role_of "$roles" control-plane && ! role_of "$roles" worker; then
                    keeps=yes
                    if [[ $ours_taints != kubeadm ]]; then taints=$MARK; fi
                fi ;;
        esac
        if [[ $ours_taints == kubeadm ]]; then ours_taints=''; fi
        if [[ -z $uid ]]; then left_over "$node" "$labels,$taints"; fi
        differ "$node" "$labels" "${LABELS[$node]-}" "$ours_labels"
        label_words[$node]=${WORDS[*]}
        both=$BOTH
        if [[ -z $keeps ]] && role_of "$roles" control-plane; then ours_taints+=${ours_taints:+,}$MARK; fi
        differ "$node" "$taints" "${TAINTS[$node]-}" "$ours_taints"
        taint_words[$node]=${WORDS[*]}
        nodes+=("$node")
        entry="${NODE_UID[$node]} ${both:--} ${BOTH:--}"
        if [[ -n ${label_words[$node]}${taint_words[$node]} && $entry != "${KNOWN[$node]-}" ]]; then
            plain "$node $entry" || finish 1 "refusing to write '$entry' down for $node"
            before+="${before:+, }\"$node\": \"$entry\""
            KNOWN[$node]=$entry
        fi
        if [[ -n $keeps ]]; then taints=kubeadm; fi
        entry="${NODE_UID[$node]} ${labels:--} ${taints:--}"
        if [[ $entry != "${KNOWN[$node]-}" ]]; then
            plain "$node $entry" || finish 1 "refusing to write '$entry' down for $node"
            after+="${after:+, }\"$node\": \"$entry\""
        fi
    done
    # First written down, then done: whatever ends this in between, the next run knows what is khagen's.
    write_down "$before"
    for node in "${nodes[@]}"; do
        read -r -a words <<<"${label_words[$node]}"
        if [[ ${#words[@]} -gt 0 ]]; then run label node "$node" --overwrite "${words[@]}"; fi
        read -r -a words <<<"${taint_words[$node]}"
        if [[ ${#words[@]} -gt 0 ]]; then run taint node "$node" --overwrite "${words[@]}"; fi
    done
    write_down "$after"
    if [[ -n $DRY && -n $before$after ]]; then
        result "# what is khagen's is written down in the ConfigMap kube-system/$RECORD"
        finish 2 "dry run: nothing was done"
    fi
    if [[ $missing -gt 0 ]]; then finish 6 "$missing nodes are still to be labelled: run this again when they have joined"; fi
    finish 0
}

main "$@"

#!/bin/bash
# Usage: label-workers.sh [--host NAME]... [--dry-run]
#
# Gives each worker's node the label node-role.kubernetes.io/worker (a kubelet may not give it to
# itself) and every node the labels that the inventory has for it.
#
# Exit codes: 0 done or nothing to do, 1 error, 2 dry run, 6 a node is not in the cluster yet (the
# others are labelled), 64 usage.

# @include prelude.sh
# @include operator/fleet.sh

main() {
    local entry fqdn roles node labels missing=0 words more code
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
    for entry in "${FLEET[@]}"; do
        IFS=$'\t' read -r fqdn _ _ _ roles _ node labels <<<"$entry"
        words=()
        if role_of "$roles" worker; then words+=(node-role.kubernetes.io/worker=); fi
        if [[ $labels != - ]]; then
            IFS=, read -r -a more <<<"$labels"
            words+=("${more[@]}")
        fi
        if [[ ${#words[@]} -eq 0 ]]; then continue; fi
        if [[ -n $DRY ]]; then
            result "kubectl label node $node --overwrite ${words[*]}"
            continue
        fi
        code=0
        kubectl --kubeconfig="$HERE/admin.conf" get node "$node" -o name </dev/null >/dev/null 2>&1 || code=$?
        # 1 is its only answer to what is not there
        if [[ $code -gt 1 ]]; then finish 1 "kubectl ended with $code"; fi
        if [[ $code -eq 1 ]]; then
            say "$node is not in the cluster yet ($fqdn: up.sh), or the cluster does not answer"
            missing=$((missing + 1))
            continue
        fi
        kubectl --kubeconfig="$HERE/admin.conf" label node "$node" --overwrite "${words[@]}" </dev/null
    done
    if [[ -n $DRY ]]; then finish 2 "dry run: nothing was done"; fi
    if [[ $missing -gt 0 ]]; then finish 6 "$missing nodes are still to be labelled: run this again when they have joined"; fi
    finish 0
}

main "$@"

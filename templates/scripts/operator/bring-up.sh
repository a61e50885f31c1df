#!/bin/bash
# Usage: bring-up.sh [--host NAME]... [--wait SECONDS] [--dry-run]
#
# Installs and starts the whole cluster over ssh, after distribute.sh, in this order:
#   1 install.sh on every host
#   2 up.sh: the etcd members   3 the balancers   4 the first control plane
#   5 the other control planes, one after the other   6 the workers
# What is done already is recognised on the host and costs a moment, so after any interruption
# just run it again. --dry-run prints each command, which can as well be typed by hand.
#
#   --host NAME      only these hosts, in the same order; may be repeated
#   --wait SECONDS   handed to up.sh (default 600)
#
# Exit codes: 0 done, 1 error, 2 dry run, 4 a bundle is damaged, 5 a bundle is on the wrong host,
# 6 a precondition is not met on a host (it says which), 64 usage.

# @include prelude.sh
# @include operator/fleet.sh

INCOMING=/var/lib/khagen/incoming
WAIT=600

# step WORDS COMMAND: on the current host; a host's own code, where it is one of ours, becomes ours.
step() {
    local code=0
    if [[ -z $DRY ]]; then say "== $FQDN: $1"; fi
    on_host "$2" || code=$?
    case $code in
        0) ;;
        4 | 5 | 6) finish "$code" "$FQDN: $1 was refused (see above). Cure it and run this again" ;;
        255) finish 1 "$FQDN: ssh did not get through" ;;
        *) finish 1 "$FQDN: $1 failed (see above). Cure it and run this again" ;;
    esac
}

# phase TITLE ROLE KUBEADM: up.sh for that role on the hosts that have it.
phase() {
    local entry address user port roles kubeadm
    if [[ -n $DRY ]]; then result "# $1"; else say "---- $1"; fi
    for entry in "${FLEET[@]}"; do
        IFS=$'\t' read -r FQDN address user port roles kubeadm _ <<<"$entry"
        if ! role_of "$roles" "$2"; then continue; fi
        if [[ $3 != any && $3 != "$kubeadm" ]]; then continue; fi
        # a control plane that also works is handled as a control plane
        if [[ $2 == worker ]] && role_of "$roles" control-plane; then continue; fi
        ssh_words "$address" "$user" "$port"
        step "up.sh for $2" "$INCOMING/$FQDN/up.sh --role $2 --wait $WAIT"
    done
}

main() {
    local entry address user port
    while [[ $# -gt 0 ]]; do
        case $1 in
            --host) [[ -n ${2-} ]] || finish 64 "--host needs a name"
                ONLY+=("$2"); shift ;;
            --wait) [[ ${2-} =~ ^[0-9]+$ ]] || finish 64 "--wait needs seconds"
                WAIT=$2; shift ;;
            --dry-run) DRY=yes ;;
            --help | -h) show_usage; finish 0 ;;
            *) show_usage >&2; finish 64 ;;
        esac
        shift
    done
    read_hosts
    if [[ -n $DRY ]]; then result "# 1 install"; else say "---- 1 install"; fi
    for entry in "${FLEET[@]}"; do
        IFS=$'\t' read -r FQDN address user port _ <<<"$entry"
        ssh_words "$address" "$user" "$port"
        step install.sh "$INCOMING/$FQDN/install.sh"
    done
    phase '2 etcd' etcd any
    phase '3 balancers' load-balancer any
    phase '4 the first control plane' control-plane init
    phase '5 the other control planes' control-plane join
    phase '6 workers' worker any
    if [[ -n $DRY ]]; then finish 2 "dry run: nothing was done"; fi
    finish 0 "next: a network plugin (CNI), then $HERE/label-workers.sh and $HERE/verify-cluster.sh"
}

main "$@"

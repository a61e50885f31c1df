#!/bin/bash
# Usage: uninstall.sh --dry-run | --yes [--reset]
#
# Takes everything back that khagen installed on this host and puts back what was there before.
# etcd's data is never deleted: it is renamed aside, beside its place. A node that has joined must
# be reset first: --reset does it (kubeadm reset --force). Users that were created stay; so do logs
# and the bundle itself.
#
# Exit codes: 0 done or nothing to do, 1 error, 2 a dry run found changes, 5 another host's or
# cluster's bundle, 6 a precondition is not met (root, --yes, the node is still in the cluster),
# 64 usage.

# @include prelude.sh
# @include host.sh
# @include probe.sh

DRY=''
YES=''
RESET=''
BACKUPS=()      # newest first

collect() {
    [[ -f $STATE/backups/$1/INDEX ]] || finish 1 "the backup $1 is gone from $STATE/backups: what was there before cannot be put back"
    BACKUPS+=("$1")
}

show() {
    local name kind path
    for name in "${BACKUPS[@]}"; do
        while IFS='|' read -r kind path _; do
            case $kind in file | dir) result "put back $path" ;; none | nodir) result "remove $path" ;; unit) result "unit as before $path" ;; esac
        done <"$STATE/backups/$name/INDEX"
    done
}

main() {
    local data aside='' first node mark
    while [[ $# -gt 0 ]]; do
        case $1 in
            --dry-run) DRY=yes ;;
            --yes) YES=yes ;;
            --reset) RESET=yes ;;
            --help | -h) show_usage; finish 0 ;;
            *) show_usage >&2; finish 64 ;;
        esac
        shift
    done
    if [[ -n $DRY && -n $YES ]]; then show_usage >&2; finish 64; fi
    if [[ -z $DRY$YES ]]; then
        show_usage >&2
        finish 6 "this takes the installation off this host: say --yes if you mean it"
    fi
    need_root
    check_belongs
    if [[ -n $YES ]]; then
        take_lock
        open_log
        recover
    elif [[ -f $PENDING ]]; then
        say "an earlier run was cut off: uninstall.sh would first put back what was there before it"
    fi
    if [[ ! -f $RECEIPT ]]; then finish 0 "nothing is installed here: nothing to do"; fi
    MANIFEST=$STATE/installed/MANIFEST.json
    mark=$(node_mark)
    if [[ -f $mark && -z $RESET ]]; then
        node=$(field nodeName)
        finish 6 "this node is in the cluster: at the bastion 'kubectl drain' and 'kubectl delete node $node', then here this again with --reset"
    fi
    if [[ -f $mark && -n $YES ]]; then
        say "kubeadm reset"
        if ! "$(tool kubeadm)" reset --force 2>&1 | tee -a "$LOG" >&2; then
            finish 1 "kubeadm reset failed (its reason is above). Cure it and run this again"
        fi
    fi
    chain collect
    if has roles etcd; then
        data=$(env_value ETCD_DATA_DIR)
        data=${data:-/var/lib/etcd}
        first=$STATE/backups/${BACKUPS[-1]}/INDEX
        # An etcd that ran here before khagen came goes on with its data.
        if [[ -d $data/member && $'\n'$(<"$first") != *$'\nunit|etcd.service|yes|yes|'* ]]; then
            aside=$data.uninstalled-$(date -u +%Y%m%dT%H%M%SZ)
        fi
    fi
    if [[ -n $DRY ]]; then
        if [[ -f $mark ]]; then result "kubeadm reset --force"; fi
        if [[ -n $aside ]]; then result "rename $data to $aside"; fi
        show
        finish 2 "dry run: nothing was written"
    fi
    merged "${BACKUPS[@]}"
    if [[ -n $aside ]]; then
        printf '%s|%s\n' "$data" "$aside" >"$MOVING.new"
        mv -f -T -- "$MOVING.new" "$MOVING"
    fi
    say "putting back what was there before khagen"
    put_back "$MERGED" || finish 1
    rm -rf -- "$STATE/up"
    say "done. The bundle's folder and $STATE/incoming hold keys: delete them yourself when they are no longer needed"
    finish 0
}

main "$@"

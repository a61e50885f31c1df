#!/bin/bash
# Usage: uninstall.sh --dry-run | --yes
#
# Takes everything back that khagen installed on this host and puts back what was there before.
# etcd's data is never deleted: it is renamed aside, beside its place. A node that has joined must
# be reset first (kubeadm reset). Users that were created stay; so do logs and the bundle itself.
#
# Exit codes: 0 done or nothing to do, 1 error, 2 a dry run found changes, 6 a precondition is not
# met (root, --yes, the node is still in the cluster), 64 usage.

# @include prelude.sh
# @include host.sh
# @include probe.sh

DRY=''
YES=''

# The backups, newest first.
chain() {
    local from=$RECEIPT name
    while [[ -f $from ]]; do
        name=$(MANIFEST=$from field backup)
        [[ -f $STATE/backups/$name/INDEX ]] || finish 1 "the backup $name is gone from $STATE/backups: what was there before cannot be put back"
        printf '%s\n' "$name"
        from=$STATE/backups/$name/receipt.json
    done
}

main() {
    local name kind path data aside='' backups=()
    case ${1-} in
        --dry-run) DRY=yes ;;
        --yes) YES=yes ;;
        --help | -h) show_usage; finish 0 ;;
        '') show_usage >&2; finish 6 "this takes the installation off this host: say --yes if you mean it" ;;
        *) show_usage >&2; finish 64 ;;
    esac
    need_root
    if [[ -n $YES ]]; then
        take_lock
        open_log
        recover
    fi
    if [[ ! -f $RECEIPT ]]; then finish 0 "nothing is installed here: nothing to do"; fi
    MANIFEST=$STATE/installed/MANIFEST.json
    if [[ -f /etc/kubernetes/kubelet.conf ]]; then
        finish 6 "this node is in the cluster: at the bastion 'kubectl drain' and 'kubectl delete node $(field nodeName)', then here 'kubeadm reset', then this again"
    fi
    chain >/dev/null        # says so if a link is missing
    mapfile -t backups < <(chain)
    if has roles etcd; then
        data=$(env_value ETCD_DATA_DIR)
        data=${data:-/var/lib/etcd}
        name=${backups[-1]}
        # An etcd that ran here before khagen came goes on with its data.
        if [[ -d $data/member ]] && ! grep -Fx -e 'unit|etcd.service|yes|yes|restart' -e 'unit|etcd.service|yes|yes|-' -- "$STATE/backups/$name/INDEX" >/dev/null; then
            aside=$data.uninstalled-$(date -u +%Y%m%dT%H%M%SZ)
        fi
    fi
    if [[ -n $DRY ]]; then
        if [[ -n $aside ]]; then result "rename $data to $aside"; fi
        for name in "${backups[@]}"; do
            while IFS='|' read -r kind path _; do
                case $kind in file | dir) result "put back $path" ;; none | nodir) result "remove $path" ;; unit) result "unit as before $path" ;; esac
            done <"$STATE/backups/$name/INDEX"
        done
        finish 2 "dry run: nothing was written"
    fi
    if [[ -n $aside ]]; then
        systemctl stop etcd.service
        mv -T -- "$data" "$aside"
        say "etcd's data is kept in $aside"
    fi
    for name in "${backups[@]}"; do
        say "putting back what $name replaced"
        put_back "$name" || finish 1
    done
    rm -rf -- "$STATE/up"
    say "done. The bundle's folder and $STATE/incoming hold keys: delete them yourself when they are no longer needed"
    finish 0
}

main "$@"

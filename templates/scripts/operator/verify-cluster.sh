#!/bin/bash
# Usage: verify-cluster.sh [--host NAME]...
#
# Asks every host over ssh (its own verify.sh), etcd with the operator's certificate, and the API
# which nodes there are. Reads only.
#
# Exit codes, as of verify.sh: 0 all is well, 6 something is not yet there, 4 a file differs, 1
# something does not work; the worst of all hosts (1, then 4, then 6). 64 usage.

# @include prelude.sh
# @include operator/fleet.sh

INCOMING=/var/lib/khagen/incoming
WORST=0
worse() {
    case $1 in
        0) ;;
        4) if [[ $WORST -ne 1 ]]; then WORST=4; fi ;;
        6) if [[ $WORST -eq 0 ]]; then WORST=6; fi ;;
        *) WORST=1 ;;
    esac
}

check_etcd() {
    local endpoints
    if ! command -v etcdctl >/dev/null; then
        say "etcdctl is not on this machine: etcd is judged by its own hosts only"
        return 0
    fi
    endpoints=$(paste -s -d , "$HERE/etcd/endpoints")
    result "== etcd: $endpoints"
    if ! etcdctl --endpoints="$endpoints" --cacert="$HERE/etcd/ca.crt" --cert="$HERE/etcd/operator.crt" \
        --key="$HERE/etcd/operator.key" endpoint status --write-out=table; then worse 1; fi
    if ! etcdctl --endpoints="$endpoints" --cacert="$HERE/etcd/ca.crt" --cert="$HERE/etcd/operator.crt" \
        --key="$HERE/etcd/operator.key" endpoint health; then worse 1; fi
}

main() {
    local entry fqdn address user port code nodes
    while [[ $# -gt 0 ]]; do
        case $1 in
            --host) [[ -n ${2-} ]] || finish 64 "--host needs a name"
                ONLY+=("$2"); shift ;;
            --help | -h) show_usage; finish 0 ;;
            *) show_usage >&2; finish 64 ;;
        esac
        shift
    done
    read_hosts
    for entry in "${FLEET[@]}"; do
        IFS=$'\t' read -r fqdn address user port _ <<<"$entry"
        result "== $fqdn"
        ssh_words "$address" "$user" "$port"
        code=0
        on_host "$INCOMING/$fqdn/verify.sh --quiet" || code=$?
        case $code in
            0) result "ok" ;;
            255) result "FAILS    ssh did not get through" ;;
            127) result "FAILS    no bundle there: run distribute.sh" ;;
        esac
        worse "$code"
    done
    if [[ ${#ONLY[@]} -eq 0 ]]; then
        check_etcd
        if command -v kubectl >/dev/null; then
            result "== nodes"
            code=0
            nodes=$(kubectl --kubeconfig="$HERE/admin.conf" get nodes -o wide 2>&1) || code=$?
            result "$nodes"
            case $code in
                0) if [[ $nodes =~ \ (NotReady|Unknown) ]]; then worse 6; fi ;;
                1) result "WAITS    the API at the endpoint does not answer"
                    worse 6 ;;
                *) result "FAILS    kubectl ended with $code"
                    worse 1 ;;
            esac
        fi
    fi
    finish "$WORST"
}

main "$@"

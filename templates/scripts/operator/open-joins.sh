#!/bin/bash
# Usage: open-joins.sh [--control-planes [--host NAME]] [--dry-run]
#
# Bootstrap tokens die with their time to live, counted from kubeadm init. This puts the token that
# the bundles carry back into the cluster for two hours, so that hosts can join whenever they come.
# Run it again to extend the two hours. The secret goes from the file bootstrap-token to kubectl's
# standard input: on no command line, on no screen.
#
# Where kubeadm brings the CAs to control planes that join (kubernetes.pki: kubeadm), they too lie in
# the cluster for two hours only.
#
#   --control-planes   put the CAs there again as well: reconfigure.sh upload-certs, over ssh, on the
#                      first control plane that is in the cluster
#   --host NAME        on this one instead
#
# Exit codes: 0 done, 1 error, 2 dry run (what would be done), 6 a precondition is not met, 64 usage.

# @include prelude.sh
# @include operator/fleet.sh

TOKEN_FILE=$HERE/bootstrap-token

TOKEN=''
EXPIRES=''      # an empty one would be for ever

secret() {
    cat <<END
apiVersion: v1
kind: Secret
metadata:
  name: bootstrap-token-${TOKEN%%.*}
  namespace: kube-system
type: bootstrap.kubernetes.io/token
stringData:
  description: "khagen: joining is open for two hours"
  token-id: "${TOKEN%%.*}"
  token-secret: "${TOKEN#*.}"
  expiration: "$EXPIRES"
  usage-bootstrap-authentication: "true"
  usage-bootstrap-signing: "true"
  auth-extra-groups: "system:bootstrappers:kubeadm:default-node-token"
END
}

# upload_certs: 6 is a host's own word for "not here": it is not in the cluster yet, or its API server is down.
upload_certs() {
    local entry fqdn address user port roles code
    for entry in "${FLEET[@]}"; do
        IFS=$'\t' read -r fqdn address user port roles _ <<<"$entry"
        if ! role_of "$roles" control-plane; then continue; fi
        ssh_words "$address" "$user" "$port"
        code=0
        on_host /var/lib/khagen/installed/reconfigure.sh\ upload-certs || code=$?
        case $code in
            0) if [[ -z $DRY ]]; then say "$fqdn: the CAs are in the cluster for two hours"; fi
                return 0 ;;
            6 | 255) say "$fqdn: not through this one" ;;
            *) finish 1 "$fqdn: reconfigure.sh upload-certs ended with $code (see above)" ;;
        esac
    done
    finish 6 "no control plane could put the CAs into the cluster (see above)"
}

main() {
    local id until code=0 servers=''
    while [[ $# -gt 0 ]]; do
        case $1 in
            --control-planes) servers=yes ;;
            --host) [[ -n ${2-} ]] || finish 64 "--host needs a name"
                ONLY+=("$2"); shift ;;
            --dry-run) DRY=yes ;;
            --help | -h) show_usage; finish 0 ;;
            *) show_usage >&2; finish 64 ;;
        esac
        shift
    done
    if [[ -z $servers && ${#ONLY[@]} -gt 0 ]]; then show_usage >&2; finish 64; fi
    if [[ -n $servers ]]; then read_hosts; fi
    command -v kubectl >/dev/null || finish 6 "kubectl is not on this machine"
    [[ -r $TOKEN_FILE ]] || finish 6 "$TOKEN_FILE is missing: this bundle's mode needs no token, or it is another user's"
    TOKEN=$(<"$TOKEN_FILE")
    [[ $TOKEN =~ ^[a-z0-9]{6}\.[a-z0-9]{16}$ ]] || finish 1 "$TOKEN_FILE holds no bootstrap token"
    id=${TOKEN%%.*}
    EXPIRES=$(date -u -d '+2 hours' +%FT%TZ)
    until=$(date -u -d "$EXPIRES" '+%F %H:%M UTC')
    if [[ -n $DRY ]]; then
        result "create or update secret kube-system/bootstrap-token-$id, for two hours from then"
        if [[ -n $servers ]]; then upload_certs; fi
        finish 2 "dry run: nothing was done"
    fi
    # Apply would keep a copy of the secret in an annotation; replace does not, but needs one to be there.
    kubectl --kubeconfig="$HERE/admin.conf" -n kube-system get secret "bootstrap-token-$id" -o name >/dev/null 2>&1 || code=$?
    case $code in
        0) secret | kubectl --kubeconfig="$HERE/admin.conf" replace -f - >/dev/null ;;
        1) secret | kubectl --kubeconfig="$HERE/admin.conf" create -f - >/dev/null ;;
        *) finish 1 "kubectl ended with $code" ;;
    esac
    if [[ -n $servers ]]; then upload_certs; fi
    finish 0 "joining is open with token $id until $until"
}

main "$@"

#!/bin/bash
# Usage: open-joins.sh [--dry-run]
#
# Bootstrap tokens die with their time to live, counted from kubeadm init. This puts the token that
# the bundles carry back into the cluster for two hours, so that hosts can join whenever they come.
# Run it again to extend the two hours. The secret goes from the file bootstrap-token to kubectl's
# standard input: on no command line, on no screen.
#
# Exit codes: 0 done, 1 error, 2 dry run (what would be done), 6 a precondition is not met, 64 usage.

# @include prelude.sh

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

main() {
    local id until code=0
    case ${1-} in
        '') ;;
        --dry-run) ;;
        --help | -h) show_usage; finish 0 ;;
        *) show_usage >&2; finish 64 ;;
    esac
    command -v kubectl >/dev/null || finish 6 "kubectl is not on this machine"
    [[ -r $TOKEN_FILE ]] || finish 6 "$TOKEN_FILE is missing: this bundle's mode needs no token, or it is another user's"
    TOKEN=$(<"$TOKEN_FILE")
    [[ $TOKEN =~ ^[a-z0-9]{6}\.[a-z0-9]{16}$ ]] || finish 1 "$TOKEN_FILE holds no bootstrap token"
    id=${TOKEN%%.*}
    EXPIRES=$(date -u -d '+2 hours' +%FT%TZ)
    until=$(date -u -d "$EXPIRES" '+%F %H:%M UTC')
    if [[ ${1-} == --dry-run ]]; then
        result "create or update secret kube-system/bootstrap-token-$id, for two hours from then"
        finish 2 "dry run: nothing was done"
    fi
    # Apply would keep a copy of the secret in an annotation; replace does not, but needs one to be there.
    kubectl --kubeconfig="$HERE/admin.conf" -n kube-system get secret "bootstrap-token-$id" -o name >/dev/null 2>&1 || code=$?
    case $code in
        0) secret | kubectl --kubeconfig="$HERE/admin.conf" replace -f - >/dev/null ;;
        1) secret | kubectl --kubeconfig="$HERE/admin.conf" create -f - >/dev/null ;;
        *) finish 1 "kubectl ended with $code" ;;
    esac
    finish 0 "joining is open with token $id until $until"
}

main "$@"

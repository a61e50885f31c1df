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

secret() {
    local token
    token=$(tr -d ' \n' <"$TOKEN_FILE")
    cat <<END
apiVersion: v1
kind: Secret
metadata:
  name: bootstrap-token-${token%%.*}
  namespace: kube-system
type: bootstrap.kubernetes.io/token
stringData:
  description: "khagen: joining is open for two hours"
  token-id: "${token%%.*}"
  token-secret: "${token#*.}"
  expiration: "$(date -u -d '+2 hours' +%FT%TZ)"
  usage-bootstrap-authentication: "true"
  usage-bootstrap-signing: "true"
  auth-extra-groups: "system:bootstrappers:kubeadm:default-node-token"
END
}

main() {
    local id
    case ${1-} in
        '') ;;
        --dry-run) ;;
        --help | -h) show_usage; finish 0 ;;
        *) show_usage >&2; finish 64 ;;
    esac
    command -v kubectl >/dev/null || finish 6 "kubectl is not on this machine"
    [[ -r $TOKEN_FILE ]] || finish 6 "$TOKEN_FILE is missing: this bundle's mode needs no token, or it is another user's"
    grep -E -x -q '[a-z0-9]{6}\.[a-z0-9]{16}' "$TOKEN_FILE" || finish 1 "$TOKEN_FILE holds no bootstrap token"
    id=$(cut -c 1-6 "$TOKEN_FILE")
    if [[ ${1-} == --dry-run ]]; then
        result "create or update secret kube-system/bootstrap-token-$id, for two hours from then"
        finish 2 "dry run: nothing was done"
    fi
    # Apply would keep a copy of the secret in an annotation; replace does not, but needs one to be there.
    if kubectl --kubeconfig="$HERE/admin.conf" -n kube-system get secret "bootstrap-token-$id" -o name >/dev/null 2>&1; then
        secret | kubectl --kubeconfig="$HERE/admin.conf" replace -f - >/dev/null
    else
        secret | kubectl --kubeconfig="$HERE/admin.conf" create -f - >/dev/null
    fi
    finish 0 "joining is open with token $id until $(date -u -d '+2 hours' '+%F %H:%M UTC')"
}

main "$@"

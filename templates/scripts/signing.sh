# ---- signing: what kubeadm signs and hands on where khagen does not (kubernetes.pki: kubeadm) ----
CERTS=/etc/kubernetes/kubeadm-certs.yaml
PKI=/etc/kubernetes/pki
signs_here() { [[ $(field pki) == kubeadm ]]; }
need_certs() { [[ -f $CERTS ]] || finish 6 "$CERTS is missing: run install.sh first"; }

upload_certs() {
    signs_here || finish 64 "the bundles bring the CAs to every control plane (kubernetes.pki is not kubeadm): there is nothing to upload"
    need_certs
    need_api
    if [[ -n $DRY ]]; then
        result "upload the CAs to secret kube-system/kubeadm-certs, for two hours from then"
        dry_end
    fi
    # Its own output would show the key.
    kubeadm_does init phase upload-certs --upload-certs --skip-certificate-key-print --config "$CERTS"
    say "control planes can join for two hours"
}

# names_hold: has the API server's certificate all certSANs of the bundle? kubeadm takes one that it finds as it is, and its
# own names (the node's, the service's) do not change on a node that is in the cluster.
names_hold() {
    local line name inside='' has said
    has=$(openssl x509 -noout -ext subjectAltName -in "$PKI/apiserver.crt") || finish 1 "openssl cannot read $PKI/apiserver.crt"
    has=" ${has//[$'\n',]/ } "
    while IFS= read -r line; do
        if [[ $line =~ ^\ *certSANs:$ ]]; then inside=yes; continue; fi
        if [[ -z $inside ]]; then continue; fi
        if ! [[ $line =~ ^\ *-\ *[\"\']?([^\"\']*) ]]; then break; fi
        name=${BASH_REMATCH[1]}
        if [[ $has == *" DNS:$name "* ]]; then continue; fi
        said=''
        # openssl takes what is no address at all for one that matches
        if [[ $name == *:* || $name =~ ^[0-9.]+$ ]]; then
            said=$(openssl x509 -noout -checkip "$name" -in "$PKI/apiserver.crt") || if [[ $? -gt 1 ]]; then finish 1 "openssl cannot read $PKI/apiserver.crt"; fi
        fi
        if [[ $said == *'does match'* ]]; then continue; fi
        say "$PKI/apiserver.crt lacks $name"
        return 1
    done <"$CERTS"
}
# lasts FILE DAYS: a certificate, or the one in a kubeconfig.
lasts() {
    local code=0 pem
    if [[ $1 == *.conf ]]; then pem=$(inline client-certificate-data "$1") || finish 1 "$1 cannot be read"; else pem=$(<"$1"); fi
    openssl x509 -noout -checkend "$(($2 * 86400))" <<<"$pem" >/dev/null || code=$?
    if [[ $code -gt 1 ]]; then finish 1 "openssl cannot read $1"; fi
    return "$code"
}
# Those that kubeadm signed here, with the component that holds each.
SIGNED="apiserver:$PKI/apiserver.crt:kube-apiserver
apiserver-kubelet-client:$PKI/apiserver-kubelet-client.crt:kube-apiserver
front-proxy-client:$PKI/front-proxy-client.crt:kube-apiserver
admin.conf:/etc/kubernetes/admin.conf:
super-admin.conf:/etc/kubernetes/super-admin.conf:
controller-manager.conf:/etc/kubernetes/controller-manager.conf:kube-controller-manager
scheduler.conf:/etc/kubernetes/scheduler.conf:kube-scheduler"

# What ends soon kubeadm signs anew with the CA of this host, and the API server's certificate when a name is missing.
signed_certificates() {
    local days name path holder rows='' paths=() holders=() anew='' missing
    need_certs
    days=$(sed -n 's/^RENEW_BEFORE_DAYS=//p' /etc/khagen/certificates.conf)
    [[ $days =~ ^[0-9]+$ ]] || finish 1 "/etc/khagen/certificates.conf says no RENEW_BEFORE_DAYS"
    # kubeadm would make one that is missing.
    [[ -f $PKI/apiserver.crt ]] || finish 6 "$PKI/apiserver.crt is missing: has up.sh ended?"
    if ! names_hold; then anew=apiserver; fi
    while IFS=: read -r name path holder; do
        if [[ ! -f $path ]]; then
            # only the first control plane has it, and kubeadm before 1.29 makes none
            if [[ $name == super-admin.conf ]]; then continue; fi
            finish 6 "$path is missing: has up.sh ended?"
        fi
        if [[ $name != "$anew" ]] && lasts "$path" "$days"; then continue; fi
        rows=$rows$name$'\n'
        paths+=("$path")
        if [[ $path == *.crt ]]; then paths+=("${path%.crt}.key"); fi
        if [[ -n $holder && " ${holders[*]} " != *" $holder "* ]]; then holders+=("$holder"); fi
    done <<<"$SIGNED"
    if [[ ${#paths[@]} -eq 0 ]]; then nothing; fi
    if [[ -n $DRY ]]; then
        for name in "${paths[@]}"; do result "replace $name"; done
        for name in "${holders[@]}"; do result "restart $name"; done
        dry_end
    fi
    local manifests=("${holders[@]/#/$MANIFESTS/}")
    back_up "${paths[@]}" "${manifests[@]/%/.yaml}"
    while IFS= read -r name; do
        if [[ -z $name ]]; then continue; fi
        if [[ $name == "$anew" ]]; then
            rm -f -- "$PKI/apiserver.crt" "$PKI/apiserver.key"
            kubeadm_does init phase certs apiserver --config "$CERTS"
        else
            kubeadm_does certs renew "$name" --config "$CERTS"
        fi
    done <<<"$rows"
    missing=''
    for path in "${paths[@]}"; do if [[ ! -f $path ]]; then missing="$missing $path"; fi; done
    if [[ -n $missing ]]; then finish 1 "kubeadm did not make$missing"; fi
    # What it holds is read at the start.
    for name in "${holders[@]}"; do restart "$name"; done
    settled
}
# ---- end of signing ----

# ---- trust: what a change of the Kubernetes CA asks of the kubelet, and of nodes that join ----
# Whoever is in it is trusted; the first is the one that signs.
CLUSTER_CA=/etc/kubernetes/pki/ca.crt
KUBELET_CONF=/etc/kubernetes/kubelet.conf
BOOTSTRAP_CONF=/etc/kubernetes/bootstrap-kubelet.conf   # kubeadm's drop-in names it to the kubelet
KUBELET_PEM=/var/lib/kubelet/pki/kubelet-client-current.pem

trusted_now() { base64 -w 0 -- "$CLUSTER_CA"; }
# whom FILE: a kubeconfig trusts, as it stands there.
whom() { sed -n 's/^ *certificate-authority-data: *"\{0,1\}\([^" ]*\)"\{0,1\}$/\1/p' -- "$1"; }
# kubelet_file KEY: a file that kubelet.conf names.
kubelet_file() { sed -n "s/^ *$1: *\"\\{0,1\\}\\([^\"]*\\)\"\\{0,1\\}\$/\\1/p" -- "$KUBELET_CONF"; }
# kubelet_shows client-certificate, kubelet_shows client-key: in the file that kubelet.conf names, or in kubelet.conf.
kubelet_shows() {
    local file
    file=$(kubelet_file "$1")
    if [[ -n $file ]]; then cat -- "$file"; else inline "$1-data" "$KUBELET_CONF"; fi
}
# signed_now: is the kubelet's certificate of the CA that signs now?
signed_now() {
    local said code=0
    openssl x509 -in "$CLUSTER_CA" -out "$WORK/signer.crt"
    # the certificate alone: the key lies in the same file
    kubelet_shows client-certificate | openssl x509 -out "$WORK/shown.crt"
    said=$(openssl verify -partial_chain -CAfile "$WORK/signer.crt" -- "$WORK/shown.crt" 2>&1) || code=$?
    # that the chain does not hold it says with 2 and in words
    case $code:$said in
        0:*) return 0 ;;
        2:*'verification failed'*) return 1 ;;
        *) finish 1 "openssl verify ended with $code: $said" ;;
    esac
}
# api_takes_us: does the API take the kubelet's certificate for this node's, and is it one that the kubelet trusts?
api_takes_us() {
    local server name
    server=$(sed -n 's/^ *server: *"\{0,1\}https:\/\/\([^" /]*\).*/\1/p' -- "$KUBELET_CONF")
    if [[ ! $server =~ :[0-9]+$ ]]; then server=$server:443; fi
    name=$(kubelet_shows client-certificate | openssl x509 -noout -subject -nameopt multiline | sed -n 's/^ *commonName *= *system:node://p')
    ask "$(host_of "$server")" "$(port_of "$server")" "/api/v1/nodes/$name" -CAfile "$CLUSTER_CA" -verify_return_error \
        -cert <(kubelet_shows client-certificate) -key <(kubelet_shows client-key)
    # 401 is for a stranger. What a node that is known may do is not asked here.
    [[ $ANSWER == HTTP/1.?' '[2-5]* && $ANSWER != HTTP/1.?' 401'* ]]
}
has_new_certificate() { [[ -s $KUBELET_CONF && -s $KUBELET_PEM ]]; }

# A kubelet without credentials asks for some with those of its bootstrap file. These may be its former ones: the cluster approves
# what a node asks for itself, as it does when a certificate nears its end.
kubelet_credentials() {
    local trusted wanted aside name anew=''
    if [[ $(field kubeletCredentials) == issued ]]; then finish 0 "$PROCEDURE: nothing to do, install.sh brings kubelet.conf"; fi
    [[ -f $CLUSTER_CA ]] || finish 6 "$CLUSTER_CA is missing: run install.sh first"
    work_folder
    trusted=$(whom "$KUBELET_CONF")
    [[ $trusted =~ ^[A-Za-z0-9+/=]+$ ]] || finish 6 "$KUBELET_CONF is not as kubeadm makes it: one certificate-authority-data is expected in it"
    wanted=$(trusted_now)
    if ! signed_now; then anew=yes; fi
    if [[ $trusted == "$wanted" && -z $anew ]]; then nothing; fi
    if [[ -n $DRY ]]; then
        result "replace $KUBELET_CONF"
        if [[ -n $anew ]]; then result "replace $KUBELET_PEM"; fi
        result "restart kubelet.service"
        dry_end
    fi
    if [[ -z $anew ]]; then
        back_up "$KUBELET_CONF" kubelet.service
        say "$KUBELET_CONF: trusts whom $CLUSTER_CA holds"
        aside=$(aside_of "$KUBELET_CONF")
        sed "s|^\( *certificate-authority-data:\).*|\1 $wanted|" -- "$KUBELET_CONF" >"$aside"
        mv -f -T -- "$aside" "$KUBELET_CONF"
        systemctl restart kubelet.service
    else
        back_up "$BOOTSTRAP_CONF" "$KUBELET_CONF" "$KUBELET_PEM" kubelet.service
        say "the kubelet asks for a certificate of the CA that signs now"
        name=$(kubelet_file client-certificate)
        if [[ -n $name ]]; then name=$(readlink -e -- "$name"); fi
        aside=$(aside_of "$BOOTSTRAP_CONF")
        # the link that it names goes to the new one soon
        sed -e "s|^\( *certificate-authority-data:\).*|\1 $wanted|" -e "s|^\( *client-certificate:\).*|\1 $name|" \
            -e "s|^\( *client-key:\) .*kubelet-client-current.*|\1 $name|" -- "$KUBELET_CONF" >"$aside"
        mv -f -T -- "$aside" "$BOOTSTRAP_CONF"
        systemctl stop kubelet.service
        rm -f -- "$KUBELET_CONF" "$KUBELET_PEM"
        unit_begin kubelet.service
        wait_for "the cluster to sign it" has_new_certificate ||
            finish 1 "no certificate came: see journalctl -u kubelet, and whether a request waits (kubectl get csr)"
        rm -f -- "$BOOTSTRAP_CONF"
        if ! signed_now; then finish 1 "the former CA signed it: every control plane must have this generation first"; fi
    fi
    kubelet_stays
    wait_for "the API to take this node" api_takes_us || finish 1 "the API does not take this node: see journalctl -u kubelet"
    settled
}

# What a node that joins is told to trust, if the token's signature on it holds.
cluster_info() {
    local trusted wanted
    work_folder
    need_api
    kubectl_does -n kube-public get configmap cluster-info -o yaml >"$WORK/cluster-info.yaml" ||
        finish 6 "the cluster has no configmap cluster-info in kube-public: kubeadm init phase bootstrap-token makes it"
    trusted=$(whom "$WORK/cluster-info.yaml")
    [[ $trusted =~ ^[A-Za-z0-9+/=]+$ ]] || finish 6 "cluster-info is not as kubeadm makes it: one certificate-authority-data is expected in it"
    wanted=$(trusted_now)
    if [[ $trusted == "$wanted" ]]; then nothing; fi
    if [[ -n $DRY ]]; then
        result "replace the CA in configmap kube-public/cluster-info"
        dry_end
    fi
    rm -rf -- "${KEPT:?}/$PROCEDURE"
    mkdir -p -- "$KEPT/$PROCEDURE"
    cp -- "$WORK/cluster-info.yaml" "$KEPT/$PROCEDURE/objects.yaml"
    sed "s|^\( *certificate-authority-data:\).*|\1 $wanted|" -- "$WORK/cluster-info.yaml" >"$WORK/new.yaml"
    kubectl_does replace -f "$WORK/new.yaml" >&2
    say "what the cluster held is kept in $KEPT/$PROCEDURE/objects.yaml"
}
# ---- end of trust ----

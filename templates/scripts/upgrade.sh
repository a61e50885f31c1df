# ---- upgrade: this node goes to the bundle's version of Kubernetes ----
# Whether a node is done is asked of the cluster and of the node; this says that an earlier run was not, and what it did.
begun() { if [[ -f $KEPT/upgrade.begun ]]; then printf '%s' "$(<"$KEPT/upgrade.begun")"; fi; }

# api_says PATH: asks the API at its endpoint as this node's kubelet does (workers have no kubectl); sets ANSWER.
api_says() {
    local endpoint host check=-verify_hostname pem=$KUBELET/pki/kubelet-client-current.pem
    endpoint=$(field endpoint)
    host=$(host_of "$endpoint")
    if [[ $host == *:* || $host =~ ^[0-9.]+$ ]]; then check=-verify_ip; fi
    [[ -r $pem ]] || finish 6 "$pem is missing: kubelet keeps its client certificate there unless rotateCertificates is off"
    ask "$host" "$(port_of "$endpoint")" "$1" -CAfile /etc/kubernetes/pki/ca.crt -partial_chain -verify_return_error "$check" "$host" -cert "$pem" -key "$pem"
}
# uploaded_version: sets UPLOADED, the version that the cluster's own copy of kubeadm's configuration names.
uploaded_version() {
    api_says /api/v1/namespaces/kube-system/configmaps/kubeadm-config
    UPLOADED=''
    if [[ $ANSWER =~ \\nkubernetesVersion:\ *(v[0-9.]+) ]]; then UPLOADED=${BASH_REMATCH[1]}; fi
}
# node_runs: sets RUNS, the kubelet that the cluster knows of this node, and READY.
node_runs() {
    api_says "/api/v1/nodes/$(field nodeName)"
    RUNS='' READY=''
    if [[ $ANSWER =~ \"kubeletVersion\":\ *\"([^\"]*)\" ]]; then RUNS=${BASH_REMATCH[1]}; fi
    if [[ ${ANSWER//[$' \n']/} == *'"type":"Ready","status":"True"'* ]]; then READY=yes; fi
}
node_is_up() { node_runs; [[ $RUNS == "$1" && -n $READY ]]; }

# newer A B: is version A newer than B?
newer() {
    local n one other
    IFS=. read -r -a one <<<"${1#v}"
    IFS=. read -r -a other <<<"${2#v}"
    for n in 0 1 2; do
        if [[ ${one[n]:-0} -ne ${other[n]:-0} ]]; then [[ ${one[n]:-0} -gt ${other[n]:-0} ]]; return; fi
    done
    return 1
}
minor() { local rest=${1#*.}; printf '%s' "${rest%%.*}"; }

need_programs() {
    local has program wrong=()
    program=$(tool kubeadm)
    has=missing
    if command -v "$program" >/dev/null; then has=$("$program" version -o short 2>/dev/null) || finish 1 "$program does not say its version"; fi
    if [[ $has != "$1" ]]; then wrong+=("kubeadm is $has"); fi
    program=$(tool kubelet)
    has=missing
    if command -v "$program" >/dev/null; then has=$("$program" --version 2>/dev/null) || finish 1 "$program does not say its version"; fi
    if [[ ${has#Kubernetes } != "$1" ]]; then wrong+=("kubelet is ${has#Kubernetes }"); fi
    if [[ ${#wrong[@]} -eq 0 ]]; then return 0; fi
    has=${wrong[*]}
    finish 6 "${has/ kubelet is/, kubelet is} on this host, the bundle is for $1. Install the packages first, as with: apt-get install --allow-change-held-packages 'kubeadm=${1#v}-*' 'kubelet=${1#v}-*'"
}
# need_skew WANTED: kubeadm goes up, by one minor at a time, and a kubelet is never newer than an API server.
need_skew() {
    local behind
    uploaded_version
    [[ -n $UPLOADED ]] || finish 6 "the API at $(field endpoint) does not show this node the configmap kubeadm-config: is it reached, and is this node in the cluster?"
    if newer "$UPLOADED" "$1"; then finish 6 "the cluster is $UPLOADED, the bundle is for $1: kubeadm does not go down. Build with kubernetes.version ${UPLOADED#v} or newer"; fi
    if [[ $(minor "$1") -gt $(($(minor "$UPLOADED") + 1)) ]]; then
        finish 6 "the cluster is $UPLOADED, the bundle is for $1: kubeadm goes up one minor at a time. Build and roll out ${1%%.*}.$(($(minor "$UPLOADED") + 1)) first"
    fi
    if has roles control-plane; then return 0; fi
    if [[ $UPLOADED != "$1" ]]; then finish 6 "the cluster is still $UPLOADED, the bundle is for $1: run 'reconfigure.sh upgrade' on each control plane first"; fi
    api_says /version
    behind=''
    if [[ $ANSWER =~ \"gitVersion\":\ *\"([^\"]*)\" ]]; then behind=${BASH_REMATCH[1]}; fi
    if [[ $behind != "$1" ]]; then finish 6 "an API server behind $(field endpoint) is still ${behind:-silent}: run 'reconfigure.sh upgrade' on each control plane first"; fi
}
# A kubeadm that was killed between two renames leaves a manifest out; it is put back, and kubeadm begins anew.
complete_manifests() {
    local name saved
    for name in $COMPONENTS; do
        saved=$KEPT/upgrade/$name.yaml
        if [[ ! -f $MANIFESTS/$name.yaml && -f $saved ]]; then
            say "$name: its manifest is missing since an earlier run was cut off; putting back the former one"
            lay "$saved" "$MANIFESTS/$name.yaml" 0600 root root
            wait_for "$name to serve" serves "$name" || finish 1 "$name does not come up: see crictl logs and journalctl -u kubelet"
        fi
    done
}
old_components() {
    local name has
    for name in $COMPONENTS; do
        [[ -f $MANIFESTS/$name.yaml ]] || finish 6 "$MANIFESTS/$name.yaml is missing: has up.sh ended?"
        has=$(image_in "$MANIFESTS/$name.yaml")
        if [[ ${has##*:} != "$1" ]]; then printf '%s\n' "$name"; fi
    done
}

upgrade() {
    local wanted how='' name old='' renew=false words=() server=''
    # khagen's own certificates are not kubeadm's to replace; those that it signed it renews by the way, as it does by itself.
    if [[ $(field pki) == kubeadm ]]; then renew=true; fi
    words=("--certificate-renewal=$renew" --etcd-upgrade=false)
    wanted=$(field kubernetesVersion)
    [[ $wanted =~ ^v[0-9]+\.[0-9]+\.[0-9]+$ ]] || finish 6 "MANIFEST.json names no version of Kubernetes: build this bundle anew"
    if has roles control-plane; then server=yes; fi
    work_folder
    need_programs "$wanted"
    if [[ -n $server ]]; then
        if [[ -z $DRY && -n $(begun) ]]; then complete_manifests; fi
        need_api
    fi
    need_skew "$wanted"
    node_runs
    [[ -n $RUNS ]] || finish 6 "the API at $(field endpoint) does not know the node $(field nodeName)"
    if [[ -n $server ]]; then old=$(old_components "$wanted"); fi
    if [[ -n $server && ($UPLOADED != "$wanted" || $(begun) == "apply $wanted") ]]; then
        how=apply
    elif [[ -n $old$(begun) || $RUNS != "$wanted" ]]; then
        how=node
    else
        kubelet_files
        if [[ ${#NEW_FILES[@]} -eq 0 ]]; then nothing; fi
        how=node
    fi
    # Without its patches kubeadm would write the files as if there were none.
    if has_patches; then words+=(--patches /etc/kubernetes/patches); fi
    if [[ $how == apply ]]; then words=(upgrade apply "$wanted" --yes "${words[@]}"); else words=(upgrade node "${words[@]}"); fi
    if [[ -n $DRY ]]; then
        if [[ -n $server ]]; then result "the cluster: $UPLOADED, then $wanted"; fi
        result "kubelet: $RUNS, then $wanted"
        for name in $old; do result "restart $name"; done
        result "kubeadm ${words[*]}"
        result "restart kubelet.service"
        dry_end
    fi
    mkdir -p -- "$KEPT"
    if [[ -z $(begun) ]]; then
        rm -rf -- "${KEPT:?}/upgrade"
        mkdir -p -- "$KEPT/upgrade"
        for name in ${server:+"$MANIFESTS"/*.yaml} "$KUBELET/config.yaml" "$KUBELET/kubeadm-flags.env"; do
            if [[ -f $name ]]; then cp -a -- "$name" "$KEPT/upgrade/"; fi
        done
        sync -f -- "$KEPT"
        say "what was there before is kept in $KEPT/upgrade"
    fi
    printf '%s %s\n' "$how" "$wanted" >"$KEPT/upgrade.begun.new"
    mv -f -T -- "$KEPT/upgrade.begun.new" "$KEPT/upgrade.begun"
    sync -f -- "$KEPT"
    say "kubeadm ${words[*]}"
    kubeadm_does "${words[@]}"
    if [[ -n $server ]]; then
        old=$(old_components "$wanted")
        [[ -z $old ]] || finish 1 "kubeadm left these as they were: ${old//$'\n'/, }"
        for name in $COMPONENTS; do
            wait_for "$name to serve" serves "$name" || finish 1 "$name does not come up: see crictl logs and journalctl -u kubelet"
        done
    fi
    # its package may have brought another unit
    systemctl daemon-reload
    systemctl restart kubelet.service
    kubelet_stays
    wait_for "the node to be Ready with kubelet $wanted" node_is_up "$wanted" ||
        finish 1 "the node is not Ready with kubelet $wanted (kubelet: ${RUNS:-unknown}, Ready: ${READY:-no}): see journalctl -u kubelet, then run this again"
    uploaded_version
    if [[ $UPLOADED != "$wanted" ]]; then finish 1 "the cluster says that it is ${UPLOADED:-of no version}: run this again"; fi
    rm -f -- "$KEPT/upgrade.begun"
}
# ---- end of upgrade ----

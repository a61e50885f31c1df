# shellcheck shell=bash
# reconfigure.sh's commands, made to fail: a control plane of stand-ins (tests/scripts/reconfigure.sh has the real kubeadm).

MANIFESTS=/etc/kubernetes/manifests
PODS='kube-apiserver kube-controller-manager kube-scheduler'
# What kubelet does: a pod is a process of its name, new whenever its manifest is another.
pods_of_manifests() {
    local name sum has
    set +e
    # it looks for as long as the case takes: no forks
    mkfifo "$BOX/pods/tick"
    exec 8<>"$BOX/pods/tick"
    while :; do
        read -r -t 0.05 -u 8
        for name in $PODS; do
            sum=none has=''
            if [[ -f $MANIFESTS/$name.yaml ]]; then { IFS= read -r -d '' sum <"$MANIFESTS/$name.yaml"; } 2>/dev/null; fi
            if [[ -f $BOX/pods/$name.has ]]; then IFS= read -r -d '' has <"$BOX/pods/$name.has"; fi
            sum=${sum%$'\n'}
            if [[ $sum == "${has%$'\n'}" ]]; then continue; fi
            if [[ -f $BOX/pods/$name.pid ]]; then
                kill -9 "$(<"$BOX/pods/$name.pid")" 2>/dev/null
                wait "$(<"$BOX/pods/$name.pid")" 2>/dev/null
                rm "$BOX/pods/$name.pid"
            fi
            if [[ $sum != none ]]; then
                "$BOX/pods/$name" 100000 &
                echo "$!" >"$BOX/pods/$name.pid"
            fi
            printf '%s\n' "$sum" >"$BOX/pods/$name.has"
        done
    done
}
pods_settle() {
    local name end=$((SECONDS + 60))
    for name in $PODS; do
        until [[ $(cat "$BOX/pods/$name.has" 2>/dev/null) == "$(cat "$MANIFESTS/$name.yaml" 2>/dev/null || echo none)" ]]; do [[ $SECONDS -lt $end ]] || die "no $name"; /bin/sleep 0.05; done
    done
}
node_of_stand_ins() {
    local name pki
    bundle "$BOX/b" 1
    pki=$BOX/b/root/etc/kubernetes/pki
    cp "$BOX/scripts/reconfigure.sh" "$BOX/b/"
    ROLES='"control-plane"' COMMANDS='"kubeadm"' UNITS='{"unit": "kubelet.service", "enable": true, "start": false, "restartOn": [], "reloadOn": []}'
    EXTRA='"endpoint": "k8sapi.isociel.com:6443",
"kubeadm": "join",'
    mkdir -p "$pki" "$MANIFESTS" "$BOX/pods" "$BOX/made" /var/lib/kubelet
    certificate ca "$BOX"
    cp "$BOX/ca.crt" "$pki/ca.crt"
    openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=api -keyout "$pki/apiserver.key" -out "$BOX/csr" 2>/dev/null
    openssl x509 -req -in "$BOX/csr" -CA "$BOX/ca.crt" -CAkey "$BOX/ca.key" -CAcreateserial -days 30 -out "$pki/apiserver.crt" 2>/dev/null
    echo 'nodeRegistration: {}' >"$BOX/b/root/etc/kubernetes/kubeadm-node.yaml"
    printf 'kubernetesVersion: v1.36.5\n---\nkind: KubeProxyConfiguration\n' >"$BOX/b/root/etc/kubernetes/kubeadm-cluster.yaml"
    if [[ -n ${SIGNS-} ]]; then
        # kubernetes.pki: kubeadm: no certificates of the API server's in the bundle
        EXTRA="$EXTRA
\"pki\": \"kubeadm\","
        rm "$pki"/apiserver.*
        mkdir -p "$BOX/b/root/etc/khagen"
        echo 'RENEW_BEFORE_DAYS=90' >"$BOX/b/root/etc/khagen/certificates.conf"
        printf 'kind: ClusterConfiguration\napiServer:\n  certSANs:\n  - "*.example.com"\n  - k8sapi.isociel.com\n  - 192.168.13.70\n  - fd00::70\nother: x\n' \
            >"$BOX/b/root/etc/kubernetes/kubeadm-certs.yaml"
    fi
    seal "$BOX/b" 1
    cat >/usr/local/sbin/kubeadm <<STUB
#!/bin/bash
case "\$*" in
    'version -o short') echo v1.36.6 ;;
    'init phase upload-certs '*) echo "\$*" >>$BOX/uploaded ;;
    'init phase certs apiserver '* | 'certs renew '*) exec $BOX/sign "\$@" ;;
    'upgrade apply '* | 'upgrade node --'*)
        sed -i s/v1.36.5/v1.36.6/ $MANIFESTS/*.yaml $BOX/www/api/v1/namespaces/kube-system/configmaps/kubeadm-config $BOX/www/api/v1/nodes/*
        echo 'maxPods: 200' >/var/lib/kubelet/config.yaml ;;
    'init phase control-plane all '*) cp $BOX/made/*.yaml $MANIFESTS/ ;;
    *'upload-config all --dry-run'*) printf '[dryrun] Attached object:\nkind: ConfigMap\nmaxPods: 200\n\n[done]\n' ;;
    *--print-manifest*) printf 'kind: DaemonSet\nimage: registry.example.com/coredns:v1.36.5\n' ;;
    *'upgrade node phase kubelet-config'*) echo 'maxPods: 200' >\$KUBEADM_UPGRADE_DRYRUN_DIR/config.yaml ;;
    *addon\ coredns*) echo changed >$BOX/live ;;
    *) cp $BOX/asked $BOX/live ;;
esac
STUB
    cat >/usr/local/sbin/kubectl <<STUB
#!/bin/bash
case "\$*" in
    *' diff -f '*) cp "\${@: -1}" $BOX/asked; /usr/bin/cmp -s $BOX/asked $BOX/live; exit ;;
    *deployment/coredns*jsonpath*) if [[ -s $BOX/live ]]; then echo registry.example.com/coredns:v1.36.5; else echo registry.k8s.io/coredns:v1.36.5; fi ;;
    *daemonset/kube-proxy*jsonpath*) echo registry.k8s.io/kube-proxy:v1.36.5 ;;
    *ClusterConfiguration*) echo 'kubernetesVersion: v1.36.5' ;;
esac
exit 0
STUB
    printf '#!/bin/sh\nexec /bin/sleep 0.05\n' >/usr/local/sbin/sleep
    chmod 0755 /usr/local/sbin/{kubeadm,kubectl,sleep}
    set +x
    code 0 "$BOX/b/install.sh"
    touch /etc/kubernetes/kubelet.conf
    printf 'healthzPort: 10248\nmaxPods: 110\n' >/var/lib/kubelet/config.yaml
    for name in $PODS; do
        cp /bin/sleep "$BOX/pods/$name"
        printf 'image: registry.k8s.io/%s:v1.36.5\n' "$name" | tee "$BOX/made/$name.yaml" >"$MANIFESTS/$name.yaml"
    done
    chmod 0600 $MANIFESTS/*
    echo '# anew' >>"$BOX/made/kube-scheduler.yaml"
    # ours is another than the bundle's
    cp "$BOX/demo.crt" /etc/kubernetes/pki/apiserver.crt
    mkdir -p "$BOX/api"
    mkdir -p "$BOX/www/api/v1/namespaces/kube-system/configmaps" "$BOX/www/api/v1/nodes"
    openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=api -keyout "$BOX/api/api.key" -out "$BOX/csr" 2>/dev/null
    openssl x509 -req -in "$BOX/csr" -CA "$BOX/ca.crt" -CAkey "$BOX/ca.key" -CAcreateserial -days 30 -out "$BOX/api/api.crt" \
        -extfile <(echo 'subjectAltName=DNS:k8sapi.isociel.com') 2>/dev/null
    cat >"$BOX/api/nginx.conf" <<END
pid $BOX/api/pid; error_log $BOX/api/error.log; daemon on; worker_processes 1; user root;
events {}
http {
  access_log off; client_body_temp_path $BOX/api/t1; proxy_temp_path $BOX/api/t2; fastcgi_temp_path $BOX/api/t3; uwsgi_temp_path $BOX/api/t4; scgi_temp_path $BOX/api/t5;
  server {
    listen 192.168.13.35:6443 ssl; listen 127.0.0.1:10257 ssl; listen 127.0.0.1:10259 ssl; listen 127.0.0.1:10248;
    ssl_certificate $BOX/api/api.crt; ssl_certificate_key $BOX/api/api.key;
    location / { return 200 "ok\n"; }
    location /api/ { root $BOX/www; }
  }
}
END
    nginx -c "$BOX/api/nginx.conf" -e "$BOX/api/error.log"
    rm -rf "$BOX/kept.etc"
    cp -a /etc/kubernetes "$BOX/kept.etc"
    : >"$BOX/live"
    pods_of_manifests </dev/null >/dev/null 2>&1 &
    pods_settle
}
# Another run ends what was begun, and finds nothing to do after that; then all is as it was.
procedure_ends() {
    pods_settle
    code 0 "$BOX/b/reconfigure.sh" "$PROCEDURE" --wait 20
    [[ ! -e /var/lib/khagen/pending && -z $(find /var/lib/khagen/backups -maxdepth 1 -name 'reconfigure*') ]] || die "${FAILED_AT-}: not at rest"
    code 0 "$BOX/b/reconfigure.sh" "$PROCEDURE" --wait 20; says 'nothing to do'
    for name in $PODS; do [[ -f $MANIFESTS/$name.yaml ]] || die "${FAILED_AT-}: no $name"; done
    cp -a "$BOX/kept.etc/." /etc/kubernetes/
    printf 'healthzPort: 10248\nmaxPods: 110\n' >/var/lib/kubelet/config.yaml
    : >"$BOX/live"
    pods_settle
}
reconfigures() {
    node_of_stand_ins
    PROCEDURE=$1 AFTER=procedure_ends tools "$BOX/b/reconfigure.sh" "$1" --wait 20
}
case_faults_tools_of_reconfigure_control_plane() { reconfigures control-plane; }
case_faults_tools_of_reconfigure_certificates() { reconfigures certificates; }
case_faults_tools_of_reconfigure_upload_config() { reconfigures upload-config; }
case_faults_tools_of_reconfigure_kubelet_config() { reconfigures kubelet-config; }
case_faults_tools_of_reconfigure_kube_proxy() { reconfigures kube-proxy; }
case_faults_tools_of_reconfigure_coredns() { reconfigures coredns; }

# The node goes from v1.36.5 to v1.36.6: the API says what it and the cluster are.
upgrade_begins() {
    printf '{"data":{"ClusterConfiguration":"a: b\\nkubernetesVersion: v1.36.5\\nc: d\\n"}}' >"$BOX/www/api/v1/namespaces/kube-system/configmaps/kubeadm-config"
    printf '{"status":{"conditions":[{"type":"Ready","status":"True"}],"nodeInfo":{"kubeletVersion":"v1.36.5"}}}' >"$BOX/www/api/v1/nodes/k8setcd1.isociel.com"
    rm -rf /var/lib/khagen/reconfigure
}
node_to_upgrade() {
    node_of_stand_ins
    EXTRA='"endpoint": "k8sapi.isociel.com:6443",
"kubernetesVersion": "v1.36.6",
"kubeadm": "join",'
    cp -a "$BOX/b" "$BOX/next"
    seal "$BOX/next" 2
    code 0 "$BOX/next/install.sh"
    rm -r "$BOX/b"
    mv "$BOX/next" "$BOX/b"
    echo '192.168.13.35 k8sapi.isociel.com' >>/etc/hosts
    mkdir -p /var/lib/kubelet/pki
    cat "$BOX/demo.crt" "$BOX/demo.key" >/var/lib/kubelet/pki/kubelet-client-current.pem
    cp "$BOX/ca.crt" /etc/kubernetes/pki/ca.crt
    printf '#!/bin/sh\necho Kubernetes v1.36.6\n' >/usr/local/sbin/kubelet
    chmod 0755 /usr/local/sbin/kubelet
    cp -a /etc/kubernetes/. "$BOX/kept.etc/"
    upgrade_begins
    PROCEDURE=upgrade
}
upgrade_ends() {
    procedure_ends
    [[ ! -e /var/lib/khagen/reconfigure/upgrade.begun ]] || die "${FAILED_AT-}: not at rest"
    upgrade_begins
}
case_faults_tools_of_reconfigure_upgrade() {
    node_to_upgrade
    AFTER=upgrade_ends tools "$BOX/b/reconfigure.sh" upgrade --wait 20
}

# ---- kubernetes.pki: kubeadm ----

# sign_for NAME DAYS SANS: what kubeadm signs, an end and names of our choice.
sign_for() {
    local at=$BOX/signed/$1
    mkdir -p "$BOX/signed"
    openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj "/CN=$1" -keyout "$at.key" -out "$at.csr" 2>/dev/null
    openssl x509 -req -in "$at.csr" -CA "$BOX/ca.crt" -CAkey "$BOX/ca.key" -CAcreateserial -days "$2" -out "$at.crt" -extfile <(echo "subjectAltName=$3") 2>/dev/null
}
# lay_signed NAME: where kubeadm puts it.
lay_signed() {
    case $1 in
        *.conf) printf 'users:\n- user:\n    client-certificate-data: %s\n    client-key-data: %s\n' "$(base64 -w 0 "$BOX/signed/$1.crt")" "$(base64 -w 0 "$BOX/signed/$1.key")" >"/etc/kubernetes/$1" ;;
        *) cp "$BOX/signed/$1.crt" "$BOX/signed/$1.key" /etc/kubernetes/pki/ ;;
    esac
}
SANS='DNS:*.example.com,DNS:k8sapi.isociel.com,IP:192.168.13.70,IP:fd00::70'
node_that_signs() {
    local name
    SIGNS=yes node_of_stand_ins
    rm -f /etc/kubernetes/pki/apiserver.crt
    for name in apiserver apiserver-kubelet-client front-proxy-client admin.conf controller-manager.conf scheduler.conf; do
        sign_for "$name" 365 "$SANS"
        lay_signed "$name"
    done
    cat >"$BOX/sign" <<STUB
#!/bin/bash
$(declare -f sign_for lay_signed)
BOX=$BOX
name=\${3}
if [[ \$1 == init ]]; then
    name=apiserver
    [[ ! -e /etc/kubernetes/pki/apiserver.crt && ! -e /etc/kubernetes/pki/apiserver.key ]] || exit 0
fi
echo "\$name" >>$BOX/anew
sign_for "\$name" 365 '$SANS'
lay_signed "\$name"
STUB
    chmod 0755 "$BOX/sign"
    rm -rf "$BOX/kept.etc"
    cp -a /etc/kubernetes "$BOX/kept.etc"
}
case_reconfigure_uploads_the_cas() {
    node_that_signs
    code 2 "$BOX/b/reconfigure.sh" upload-certs --dry-run; says 'upload the CAs'
    [[ ! -e $BOX/uploaded ]] || die "a dry run uploaded"
    code 0 "$BOX/b/reconfigure.sh" upload-certs; says 'for two hours'
    # as open-joins.sh calls it
    code 0 /var/lib/khagen/installed/reconfigure.sh upload-certs
    [[ $(sort -u "$BOX/uploaded") == 'init phase upload-certs --upload-certs --skip-certificate-key-print --config /etc/kubernetes/kubeadm-certs.yaml' ]] || die "$(<"$BOX/uploaded")"
    [[ $(wc -l <"$BOX/uploaded") == 2 ]] || die "not twice"
    rm /etc/kubernetes/kubelet.conf
    code 6 "$BOX/b/reconfigure.sh" upload-certs; says 'not in the cluster yet'
}
case_reconfigure_has_no_cas_to_upload() {
    node_of_stand_ins
    code 64 "$BOX/b/reconfigure.sh" upload-certs; says 'nothing to upload'
}
case_reconfigure_signs_anew() {
    local pid
    node_that_signs
    code 0 "$BOX/b/reconfigure.sh" certificates --wait 20; says 'nothing to do'
    [[ ! -e $BOX/anew ]] || die "signed without need"
    # Two that end soon: each is kubeadm's, and who holds it starts anew.
    sign_for front-proxy-client 30 "$SANS"; lay_signed front-proxy-client
    sign_for scheduler.conf 30 "$SANS"; lay_signed scheduler.conf
    code 2 "$BOX/b/reconfigure.sh" certificates --dry-run
    says 'replace /etc/kubernetes/pki/front-proxy-client.key'; says 'restart kube-scheduler'; says 'restart kube-apiserver'
    ! grep -F controller-manager "$BOX/out" || die "too much"
    pid=$(<"$BOX/pods/kube-controller-manager.pid")
    code 0 "$BOX/b/reconfigure.sh" certificates --wait 20
    [[ $(<"$BOX/anew") == $'front-proxy-client\nscheduler.conf' ]] || die "$(<"$BOX/anew")"
    [[ $(<"$BOX/pods/kube-controller-manager.pid") == "$pid" ]] || die "restarted what holds nothing new"
    code 0 "$BOX/b/reconfigure.sh" certificates --wait 20; says 'nothing to do'
    # A name that the bundle wants and the certificate lacks.
    rm "$BOX/anew"
    sign_for apiserver 365 "${SANS%,*}"; lay_signed apiserver
    code 2 "$BOX/b/reconfigure.sh" certificates --dry-run; says 'lacks fd00::70'
    [[ ! -e $BOX/anew ]] || die "a dry run signed"
    code 0 "$BOX/b/reconfigure.sh" certificates --wait 20
    [[ $(<"$BOX/anew") == apiserver ]] || die "$(<"$BOX/anew")"
    openssl x509 -noout -checkip fd00::70 -in /etc/kubernetes/pki/apiserver.crt | grep -F 'does match'
    sign_for apiserver 365 "${SANS#*,}"; lay_signed apiserver
    code 2 "$BOX/b/reconfigure.sh" certificates --dry-run; says 'lacks [*].example.com'
    # kubeadm that fails: what was there is there again.
    cp /etc/kubernetes/pki/apiserver.crt "$BOX/was"
    printf '#!/bin/sh\nexit 1\n' >"$BOX/sign"
    code 1 "$BOX/b/reconfigure.sh" certificates --wait 20; says 'as they were before'
    cmp "$BOX/was" /etc/kubernetes/pki/apiserver.crt
    [[ -f /etc/kubernetes/pki/apiserver.key ]] || die "the key is gone"
    rm /etc/kubernetes/pki/apiserver.crt
    code 6 "$BOX/b/reconfigure.sh" certificates; says 'is missing'
}
case_faults_tools_of_reconfigure_signing() {
    node_that_signs
    sign_for scheduler.conf 30 "$SANS"; lay_signed scheduler.conf
    sign_for apiserver 365 "${SANS%,*}"; lay_signed apiserver
    rm -rf "$BOX/kept.etc"
    cp -a /etc/kubernetes "$BOX/kept.etc"
    PROCEDURE=certificates AFTER=procedure_ends tools "$BOX/b/reconfigure.sh" certificates --wait 20
}

# Cut off after any change: the next run puts back what was half done, or goes on, and ends it.
cut_off() {
    local after=procedure_ends
    if [[ $1 == upgrade ]]; then
        node_to_upgrade
        after=upgrade_ends
    else
        node_of_stand_ins
        PROCEDURE=$1
    fi
    prepare_faults
    AFTER=$after killed "$BOX/b/reconfigure.sh" "$1" --wait 20
}
case_faults_reconfigure_control_plane_killed() { cut_off control-plane; }
case_faults_reconfigure_certificates_killed() { cut_off certificates; }
case_faults_reconfigure_kubelet_config_killed() { cut_off kubelet-config; }
case_faults_reconfigure_kube_proxy_killed() { cut_off kube-proxy; }
case_faults_reconfigure_upgrade_killed() { cut_off upgrade; }
case_faults_reconfigure_signing_killed() {
    node_that_signs
    sign_for scheduler.conf 30 "$SANS"; lay_signed scheduler.conf
    rm -rf "$BOX/kept.etc"
    cp -a /etc/kubernetes "$BOX/kept.etc"
    PROCEDURE=certificates
    prepare_faults
    AFTER=procedure_ends killed "$BOX/b/reconfigure.sh" certificates --wait 20
}

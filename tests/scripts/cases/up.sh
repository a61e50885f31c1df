# shellcheck shell=bash
# Cases of up.sh where kubeadm is a stub and the API server a real TLS server (nginx).

# control_plane VERB: a bundle for a control plane that inits or joins.
control_plane() {
    bundle "$BOX/b" 1
    ROLES='"control-plane"' COMMANDS='"kubeadm"' UNITS='{"unit": "kubelet.service", "enable": true, "start": false, "restartOn": [], "reloadOn": []}'
    EXTRA="\"endpoint\": \"k8sapi.isociel.com:6443\",
\"kubeadm\": \"$1\",
\"etcdEndpoints\": [\"https://192.168.13.35:2379\",\"https://192.168.13.36:2379\"],"
    printf 'discovery:\n  bootstrapToken:\n    token: "abcdef.0123456789abcdef"\n' >"$BOX/b/root/etc/kubernetes/kubeadm.yaml"
    cat >/usr/local/sbin/kubeadm <<STUB
#!/bin/bash
echo "kubeadm \$*" >>$BOX/calls
if [[ -f $BOX/kubeadm-fails ]]; then exit 2; fi
touch /etc/kubernetes/kubelet.conf
echo active >$BOX/units/kubelet.service.active
STUB
    chmod 0755 /usr/local/sbin/kubeadm
    seal "$BOX/b" 1
}
# api TOKENID: a server that answers as an API server does, where cluster-info is signed for that token.
api() {
    mkdir -p "$BOX/api"
    certificate api "$BOX/api"
    cat >"$BOX/api/nginx.conf" <<END
pid $BOX/api/pid; error_log $BOX/api/error.log; daemon on;
events {}
http {
  access_log off; client_body_temp_path $BOX/api/t1; proxy_temp_path $BOX/api/t2; fastcgi_temp_path $BOX/api/t3; uwsgi_temp_path $BOX/api/t4; scgi_temp_path $BOX/api/t5;
  server {
    listen 192.168.13.35:6443 ssl;
    ssl_certificate $BOX/api/api.crt; ssl_certificate_key $BOX/api/api.key;
    location = /readyz { return 200 "ok"; }
    location = /api/v1/namespaces/kube-public/configmaps/cluster-info { return 200 '{"data":{"jws-kubeconfig-$1":"x","kubeconfig":"y"}}'; }
  }
}
END
    nginx -c "$BOX/api/nginx.conf" -e "$BOX/api/error.log"
}

case_up_joins() {
    control_plane join
    code 6 "$BOX/b/up.sh"; says 'run .*install.sh first'
    code 0 "$BOX/b/install.sh"
    code 64 "$BOX/b/up.sh" --role worker
    code 6 "$BOX/b/up.sh" --wait 0; says 'does not resolve'
    echo '192.168.13.35 k8sapi.isociel.com' >>/etc/hosts
    code 6 "$BOX/b/up.sh" --wait 0; says 'the first control plane comes first'
    api ffffff
    code 6 "$BOX/b/up.sh" --wait 0; says 'token abcdef has expired'; says 'open-joins.sh'
    ! grep -F 0123456789abcdef "$BOX/out" "$BOX/err" || die "the secret was said"
    # Right after kubeadm init the controller-manager has not signed yet: that is no expired token.
    (sleep 3 && sed -i 's/jws-kubeconfig-ffffff/jws-kubeconfig-abcdef/' "$BOX/api/nginx.conf" && kill -HUP "$(<"$BOX/api/pid")") &
    echo 1 >"$BOX/kubeadm-fails"
    code 1 "$BOX/b/up.sh" --wait 30; says 'waiting for cluster-info to be signed'; says 'kubeadm join failed'
    rm "$BOX/kubeadm-fails"
    code 0 "$BOX/b/up.sh" --wait 0
    grep -E 'kubeadm join --config /etc/kubernetes/kubeadm.yaml$' "$BOX/calls"
    grep -E 'kubeadm join --config /etc/kubernetes/kubeadm.yaml --ignore-preflight-errors=' "$BOX/calls"
    : >"$BOX/calls"
    code 0 "$BOX/b/up.sh" --wait 0; says 'nothing to do'
    ! grep kubeadm "$BOX/calls" || die "joined twice"
    # a bundle that is not the installed one
    cp -a "$BOX/b" "$BOX/b2"; FROM=2026-01-01T00:00:00Z; seal "$BOX/b2" 2
    code 4 "$BOX/b2/up.sh"
    code 6 "$BOX/b/uninstall.sh" --yes; says 'with --reset'
}

# Where kubeadm spreads the CAs: the key stays in the document, and CAs that have lapsed are said so.
case_up_spreads_the_cas() {
    control_plane join
    EXTRA="$EXTRA
\"pki\": \"kubeadm\","
    seal "$BOX/b" 1
    code 0 "$BOX/b/install.sh"
    echo '192.168.13.35 k8sapi.isociel.com' >>/etc/hosts
    api abcdef
    cp /usr/local/sbin/kubeadm "$BOX/kubeadm"
    printf '#!/bin/bash\necho "kubeadm $*" >>%s/calls\necho %s >&2\nexit 1\n' "$BOX" \
        "'error downloading the secret: Secret \"kubeadm-certs\" was not found in the \"kube-system\" Namespace.'" >/usr/local/sbin/kubeadm
    code 6 "$BOX/b/up.sh" --wait 0; says 'open-joins.sh --control-planes'
    # A later end of another kind is not taken for it, though the log has the words.
    printf '#!/bin/bash\nexit 1\n' >/usr/local/sbin/kubeadm
    code 1 "$BOX/b/up.sh" --wait 0; says 'kubeadm join failed'
    cp "$BOX/kubeadm" /usr/local/sbin/kubeadm
    code 0 "$BOX/b/up.sh" --wait 0
    ! grep -e upload-certs -e certificate-key "$BOX/calls" || die "join was given more than its document"
}
# What kubeadm init is told, from the bundle's own words.
case_up_init_uploads_the_cas() {
    control_plane init
    EXTRA="$EXTRA
\"pki\": \"kubeadm\","
    seal "$BOX/b" 1
    cat >"$BOX/begin" <<END
$(sed '/^main "\$@"/d' "$BOX/b/up.sh")
MANIFEST=$BOX/b/MANIFEST.json LOG=$BOX/log UP=$BOX/up CLUSTER_ID=x
run_kubeadm init
finish 0
END
    code 0 bash "$BOX/begin"
    grep -E 'kubeadm init --config /etc/kubernetes/kubeadm.yaml --skip-token-print --upload-certs --skip-certificate-key-print$' "$BOX/calls"
}

case_up_balancer() {
    bundle "$BOX/b" 1
    ROLES='"load-balancer"' EXTRA='"endpoint": "k8sapi.isociel.com:6443",'
    UNITS='{"unit": "nginx.service", "enable": true, "start": true, "restartOn": [], "reloadOn": []}'
    seal "$BOX/b" 1
    code 0 "$BOX/b/install.sh"
    code 1 "$BOX/b/up.sh"; says 'does not accept at 192.168.13.35 port 6443'
    api abcdef
    code 0 "$BOX/b/up.sh"; says 'accepts at port 6443'
    code 1 "$BOX/b/verify.sh"; says 'does not resolve'
    echo '192.168.13.35 k8sapi.isociel.com' >>/etc/hosts
    code 0 "$BOX/b/verify.sh"; says 'held by this host'
    hostname k8setcd2
    code 5 "$BOX/b/up.sh"
}

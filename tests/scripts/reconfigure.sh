#!/bin/bash
# reconfigure.sh OLD NEW KUBEADM: reconfigure.sh of two bundles of the first control plane, run for real in namespaces
# whose /etc, /usr/local, /var/lib and /var/log vanish afterwards. kubeadm is the real one. kubelet is a loop that runs
# "pods" (TLS servers of the right names) from the manifests, kubectl and what kubeadm would write to the API are stubs,
# what it reads of the API is served from files. Needs root.
set -euo pipefail
SELF=$(readlink -f -- "$0")
TESTS=$(dirname -- "$SELF")
if [[ ${1-} != --inside ]]; then
    WORK=$(mktemp -d)
    trap 'rm -rf -- "$WORK"' EXIT
    mkdir "$WORK/mnt"
    unshare --mount --uts --net --pid --fork --mount-proc --kill-child "$SELF" --inside "$WORK" "$(readlink -f "$1")" "$(readlink -f "$2")" "$(readlink -f "$3")"
    exit
fi

BOX=$2/mnt OLD=$3 NEW=$4 KUBEADM=$5
ETCD_BIN=''         # the fixture's stub of systemctl names it
export ETCD_BIN
mount -t tmpfs tmpfs "$BOX"
for dir in etc usr/local var/lib var/log; do
    mkdir -p "$BOX/upper/$dir" "$BOX/work/$dir"
    mount -t overlay -o "lowerdir=/$dir,upperdir=$BOX/upper/$dir,workdir=$BOX/work/$dir" overlay "/$dir"
done
# SC1091: the file is beside this one
source "$TESTS/fixture.sh"
export TMPDIR=$BOX/tmp
mkdir "$TMPDIR"
prepare_host
hostname k8smaster1
ip addr add 192.168.13.61/32 dev lo
printf '\n192.168.13.61 k8sapi.isociel.com\n' >>/etc/hosts
cp -a "$OLD" "$BOX/old"
cp -a "$NEW" "$BOX/new"
MANIFESTS=/etc/kubernetes/manifests
step() { printf '== %s s: %s\n' "$SECONDS" "$*"; }

# installed DIR: as install.sh leaves the host.
installed() {
    local path mode
    while IFS=$'\t' read -r path mode; do
        if [[ -e $path && $2 == again && $path == @(*.conf|*/pki/apiserver.*|*/pki/apiserver-kubelet-client.*|*/pki/front-proxy-client.*) && $path == /etc/kubernetes/* ]]; then continue; fi
        install -D -m "$mode" -- "$1/root$path" "$path"
    done < <(jq -r '.files[] | select(.policy != "block") | [.path, .mode] | @tsv' "$1/MANIFEST.json")
    mkdir -p /var/lib/khagen/installed /var/lib/khagen/backups
    cp "$1/MANIFEST.json" /var/lib/khagen/installed/
    printf '{\n"generation": %s,\n"clusterId": "x",\n"manifest": "%s"\n}\n' "$(jq .generation "$1/MANIFEST.json")" \
        "$(sha256sum "$1/MANIFEST.json" | cut -c 1-64)" >/var/lib/khagen/receipt.json
}

# ---- pods ----
mkdir -p "$BOX/pods" "$BOX/www/api/v1/namespaces/kube-system/configmaps" "$BOX/www/api/v1/nodes"
cp "$(PATH=$PATH:/usr/sbin command -v nginx)" "$BOX/pods/kube-apiserver"
for name in kube-controller-manager kube-scheduler; do cp "$(command -v openssl)" "$BOX/pods/$name"; done
certificate local "$BOX/pods"
printf 'HTTP/1.0 200 OK\r\n\r\nok' >"$BOX/www/healthz"
cat >"$BOX/pods/api.conf" <<END
user root; pid $BOX/pods/api.pid; error_log $BOX/pods/api.log; daemon off;
events {}
http {
  access_log off; default_type application/json; client_body_temp_path $BOX/pods/t1; proxy_temp_path $BOX/pods/t2;
  fastcgi_temp_path $BOX/pods/t3; uwsgi_temp_path $BOX/pods/t4; scgi_temp_path $BOX/pods/t5;
  server {
    listen 192.168.13.61:6443 ssl;
    ssl_certificate /etc/kubernetes/pki/apiserver.crt; ssl_certificate_key /etc/kubernetes/pki/apiserver.key;
    root $BOX/www;
    error_page 405 =200 \$uri;   # a PATCH is answered as if it had been done
    location = /readyz { default_type text/plain; return 200 "ok"; }
    location = /api/v1/namespaces/kube-system/pods { alias $BOX/www/pods; }
    location = /apis/authentication.k8s.io/v1/selfsubjectreviews {
      return 201 '{"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview", "status": {"userInfo": {"username": "system:node:k8smaster1.isociel.com"}}}';
    }
  }
}
END
start_pod() {
    local at crt key
    if [[ -f $BOX/broken ]] && grep -F -e "$(<"$BOX/broken")" "$MANIFESTS/$1.yaml" >/dev/null; then return; fi
    at=127.0.0.1:10259 crt=$BOX/pods/local.crt key=$BOX/pods/local.key
    if [[ $1 == kube-controller-manager ]]; then at=127.0.0.1:10257; fi
    if [[ $1 == kube-apiserver ]]; then
        "$BOX/pods/$1" -c "$BOX/pods/api.conf" -e "$BOX/pods/api.log" >/dev/null 2>&1 &
        echo "$!" >"$BOX/pods/$1.pid"
        return
    fi
    (cd "$BOX/www" && exec "$BOX/pods/$1" s_server -accept "$at" -cert "$crt" -key "$key" -HTTP -quiet) >/dev/null 2>&1 &
    echo "$!" >"$BOX/pods/$1.pid"
}
kubelet() {
    local name sum was
    set +ex
    while sleep 0.1; do
        for name in kube-apiserver kube-controller-manager kube-scheduler; do
            sum=$(cat "$MANIFESTS/$name.yaml" 2>/dev/null | sha256sum)
            was=$(cat "$BOX/pods/$name.sum" 2>/dev/null || echo none)
            if [[ $sum == "$was" ]]; then continue; fi
            if [[ -f $BOX/pods/$name.pid ]]; then
                kill "$(<"$BOX/pods/$name.pid")" 2>/dev/null
                while pgrep -x "${name:0:15}" >/dev/null; do sleep 0.05; done
                rm "$BOX/pods/$name.pid"
            fi
            if [[ -f $MANIFESTS/$name.yaml ]]; then start_pod "$name"; fi
            printf '%s\n' "$sum" >"$BOX/pods/$name.sum"
        done
    done
}
pid_of() { cat "$BOX/pods/$1.pid"; }
serving() { openssl s_client -connect 192.168.13.61:6443 </dev/null 2>/dev/null | openssl x509 -noout -fingerprint -sha256 2>/dev/null; }
fingerprint() { openssl x509 -in "$1" -noout -fingerprint -sha256; }
all_up() { for name in kube-apiserver kube-controller-manager kube-scheduler; do pgrep -x "${name:0:15}" >/dev/null || return 1; done; serving >/dev/null; }
is_down() { ! pgrep -x kube-apiserver >/dev/null; }
await() { local n=0; until "$@"; do n=$((n + 1)); [[ $n -lt 100 ]] || die "waited in vain: $*"; sleep 0.1; done; }

# ---- programs ----
cat >/usr/local/sbin/kubeadm <<STUB
#!/bin/bash
echo "kubeadm \$*" >>$BOX/calls
case "\$*" in
    *--dry-run* | *--print-manifest* | 'init phase control-plane'*) exec "$KUBEADM" "\$@" ;;
    # writes to the API: the cluster is then as kubectl diff was last asked
    'init phase upload-config all --config '* | 'init phase addon '*) cp "$BOX/asked.yaml" "$BOX/live.yaml" ;;
    *) exec "$KUBEADM" "\$@" ;;
esac
STUB
cat >/usr/local/sbin/kubectl <<STUB
#!/bin/bash
echo "kubectl \$*" >>$BOX/calls
case "\$*" in
    *' diff -f '*) cp "\${@: -1}" "$BOX/asked.yaml"; exec diff -u "$BOX/live.yaml" "$BOX/asked.yaml" ;;
    *'get --raw /readyz') echo ok ;;
    *'configmap kubeadm-config'*) sed -n 's/^    kubernetesVersion/kubernetesVersion/p' "$BOX/live.yaml" ;;
    *'rollout status'*) [[ ! -f $BOX/rollout-fails ]] ;;
    *daemonset/kube-proxy*jsonpath*) echo "registry.k8s.io/kube-proxy:\$(cat $BOX/version)" ;;
    *deployment/coredns*jsonpath*) cat "$BOX/coredns" ;;
    *'kube-public get configmap cluster-info -o yaml') cat "$BOX/cluster-info" ;;
    'replace -f '* | *' replace -f '*) cp "\${@: -1}" "$BOX/cluster-info" ;;
    *' get '*' -o yaml') cat "$BOX/live.yaml" ;;
esac
STUB
chmod 0755 /usr/local/sbin/kubeadm /usr/local/sbin/kubectl

step "refusals"
code 64 "$BOX/old/reconfigure.sh"
code 64 "$BOX/old/reconfigure.sh" etcd
code 64 "$BOX/old/reconfigure.sh" coredns kube-proxy
code 6 "$BOX/old/reconfigure.sh" control-plane; says 'run .*install.sh first'
installed "$BOX/old" first
code 6 "$BOX/old/reconfigure.sh" control-plane; says 'not in the cluster yet'
touch /etc/kubernetes/kubelet.conf
code 6 "$BOX/old/reconfigure.sh" control-plane; says 'up.sh'
code 4 "$BOX/new/reconfigure.sh" control-plane; says 'run its install.sh first'
hostname k8smaster9
code 5 "$BOX/old/reconfigure.sh" control-plane
hostname k8smaster1

step "the parts make what the whole document of kubeadm init makes"
mkdir -p $MANIFESTS
"$KUBEADM" init phase control-plane all --config /etc/kubernetes/kubeadm.yaml
kubelet &
await all_up
code 0 "$BOX/old/reconfigure.sh" control-plane; says 'nothing to do'
code 0 "$BOX/old/reconfigure.sh" control-plane --dry-run
code 0 "$BOX/old/reconfigure.sh" certificates; says 'nothing to do'

step "control-plane"
installed "$BOX/new" again
cp -a $MANIFESTS "$BOX/manifests.old"
stamps >"$BOX/before"
code 2 "$BOX/new/reconfigure.sh" control-plane --dry-run
says '^\+ *- --audit-log-maxage=31'; says 'restart kube-apiserver'; says 'restart kube-scheduler'
stamps >"$BOX/after"; same "$BOX/before" "$BOX/after"
was=$(pid_of kube-apiserver)
code 0 "$BOX/new/reconfigure.sh" control-plane --wait 20; says 'kube-scheduler serves'
grep -e --audit-log-maxage=31 $MANIFESTS/kube-apiserver.yaml >/dev/null || die "no new manifest"
grep -e 'image: registry.example.com/k8s/kube-scheduler:' $MANIFESTS/kube-scheduler.yaml >/dev/null || die "no new image"
[[ $(pid_of kube-apiserver) != "$was" ]] || die "not restarted"
[[ $(ls -A $MANIFESTS | wc -l) -eq 3 && $(stat -c '%a %U' $MANIFESTS/kube-apiserver.yaml) == '600 root' ]] || die "$(ls -lA $MANIFESTS)"
diff -r "$BOX/manifests.old" /var/lib/khagen/reconfigure/control-plane/files$MANIFESTS || die "the former manifests are not kept"
was=$(pid_of kube-apiserver)
code 0 "$BOX/new/reconfigure.sh" control-plane; says 'nothing to do'
[[ $(pid_of kube-apiserver) == "$was" && ! -e /var/lib/khagen/pending && -z $(ls /var/lib/khagen/backups) ]] || die "not at rest"

step "what does not come up is put back"
rm $MANIFESTS/*.yaml; cp -a "$BOX"/manifests.old/* $MANIFESTS/
await all_up
echo --audit-log-maxage=31 >"$BOX/broken"
code 1 "$BOX/new/reconfigure.sh" control-plane --wait 2; says 'kube-apiserver does not come up'; says 'as they were before'
diff -r "$BOX/manifests.old" $MANIFESTS || die "not put back"
[[ ! -e /var/lib/khagen/pending ]] || die "pending"
await all_up
# the scheduler, after the others came up
echo registry.example.com/k8s/kube-scheduler >"$BOX/broken"
code 1 "$BOX/new/reconfigure.sh" control-plane --wait 3; says 'kube-apiserver serves'; says 'kube-scheduler does not come up'
diff -r "$BOX/manifests.old" $MANIFESTS || die "not put back"
rm "$BOX/broken"
await all_up

step "a killed run is put back by the next"
echo --audit-log-maxage=31 >"$BOX/broken"
setsid "$BOX/new/reconfigure.sh" control-plane --wait 60 >/dev/null 2>&1 &
script=$!
changed() { ! cmp -s $MANIFESTS/kube-apiserver.yaml "$BOX/manifests.old/kube-apiserver.yaml"; }
await changed
[[ -e /var/lib/khagen/pending ]] || die "not marked"
kill -9 -- "-$script"
rm -rf "$TMPDIR"/*
await is_down
code 6 "$BOX/new/reconfigure.sh" kube-proxy --dry-run; says 'would first put back'; says 'is not ready'
rm "$BOX/broken"
code 0 "$BOX/new/reconfigure.sh" control-plane --wait 20; says 'an earlier run was cut off'; says 'kube-apiserver serves'
code 0 "$BOX/new/reconfigure.sh" control-plane; says 'nothing to do'

step "another version is an upgrade"
sed -i 's/\(kube-apiserver\):v1.36.[0-9]*/\1:v1.35.1/' $MANIFESTS/kube-apiserver.yaml
code 6 "$BOX/new/reconfigure.sh" control-plane; says 'reconfigure.sh upgrade'
sed -i "s/:v1.35.1/:$(sed -n 's/^kubernetesVersion: //p' /etc/kubernetes/kubeadm-cluster.yaml)/" $MANIFESTS/kube-apiserver.yaml
await all_up
code 0 "$BOX/new/reconfigure.sh" control-plane

step "certificates"
cp -a /etc/kubernetes "$BOX/kubernetes.old"
code 2 "$BOX/new/reconfigure.sh" certificates --dry-run
says 'replace /etc/kubernetes/pki/apiserver.crt'; says 'restart kube-apiserver'
! grep -e scheduler "$BOX/out" || die "the scheduler holds nothing new"
[[ $(serving) == "$(fingerprint "$BOX/old/root/etc/kubernetes/pki/apiserver.crt")" ]] || die "another certificate is served"
touch "$BOX/broken"; echo kube-apiserver >"$BOX/broken"
code 1 "$BOX/new/reconfigure.sh" certificates --wait 2; says 'does not come up'
diff -r "$BOX/kubernetes.old" /etc/kubernetes || die "not put back"
rm "$BOX/broken" "$BOX/pods/kube-apiserver.sum"
await all_up
was=$(pid_of kube-scheduler)
code 0 "$BOX/new/reconfigure.sh" certificates --wait 20; says 'kube-apiserver serves'
[[ $(serving) == "$(fingerprint "$BOX/new/root/etc/kubernetes/pki/apiserver.crt")" ]] || die "the old certificate is served"
[[ $(pid_of kube-scheduler) == "$was" ]] || die "the scheduler was restarted"
cmp "$BOX/new/root/etc/kubernetes/pki/apiserver.key" /etc/kubernetes/pki/apiserver.key
[[ $(stat -c '%a %U' /etc/kubernetes/pki/apiserver.key) == '600 root' ]] || die "mode of the key"
cmp "$BOX/old/root/etc/kubernetes/pki/apiserver.key" /var/lib/khagen/reconfigure/certificates/files/etc/kubernetes/pki/apiserver.key
code 0 "$BOX/new/reconfigure.sh" certificates; says 'nothing to do'
# one of another CA, and one that the manifest does not know
cp -a "$BOX/new" "$BOX/strange"
certificate strange "$BOX"
cp "$BOX/strange.crt" "$BOX/strange/root/etc/kubernetes/pki/apiserver.crt"
cp /etc/kubernetes/pki/apiserver.crt "$BOX/kept.crt"
echo gone >/etc/kubernetes/pki/apiserver.crt
code 4 "$BOX/strange/reconfigure.sh" certificates; says 'not what MANIFEST.json says'
sed -i "s/$(sha256sum "$BOX/kept.crt" | cut -c 1-64)/$(sha256sum "$BOX/strange.crt" | cut -c 1-64)/" "$BOX/strange/MANIFEST.json"
installed "$BOX/strange" again
code 6 "$BOX/strange/reconfigure.sh" certificates; says "not of this host's CA"
[[ $(</etc/kubernetes/pki/apiserver.crt) == gone ]] || die "replaced"
cp "$BOX/kept.crt" /etc/kubernetes/pki/apiserver.crt
installed "$BOX/new" again

step "upload-config"
live() { # the objects of a bundle, as the script asks for them
    echo >"$BOX/live.yaml"
    "$BOX/$1/reconfigure.sh" upload-config --dry-run >/dev/null 2>&1 || [[ $? -eq 2 ]]
    cp "$BOX/asked.yaml" "$BOX/live.yaml"
}
live new
for what in ClusterConfiguration KubeletConfiguration 'kind: RoleBinding' 'maxPods: 200' audit-log-maxage; do
    grep -e "$what" "$BOX/live.yaml" >/dev/null || die "$what is not among what is asked for"
done
! grep -e dryrun -e token: "$BOX/live.yaml" || die "that is no object"
code 0 "$BOX/new/reconfigure.sh" upload-config; says 'nothing to do'
sed -i 's/maxPods: 200/maxPods: 110/' "$BOX/live.yaml"
: >"$BOX/calls"
code 2 "$BOX/new/reconfigure.sh" upload-config --dry-run; says '^\+ *maxPods: 200'
! grep -e 'upload-config all --config' "$BOX/calls" || die "uploaded in a dry run"
code 0 "$BOX/new/reconfigure.sh" upload-config
grep -e 'init phase upload-config all --config' "$BOX/calls" >/dev/null || die "not uploaded"
grep -e 'maxPods: 110' /var/lib/khagen/reconfigure/upload-config/objects.yaml >/dev/null || die "not kept"
code 0 "$BOX/new/reconfigure.sh" upload-config; says 'nothing to do'
sed -i 's/kubernetesVersion: .*/kubernetesVersion: v1.35.0/' "$BOX/live.yaml"
code 6 "$BOX/new/reconfigure.sh" upload-config; says 'reconfigure.sh upgrade'

step "kube-proxy"
sed -n 's/^kubernetesVersion: //p' /etc/kubernetes/kubeadm-cluster.yaml >"$BOX/version"
echo >"$BOX/live.yaml"
: >"$BOX/calls"
code 2 "$BOX/new/reconfigure.sh" kube-proxy --dry-run; says '^\+ *bindAddressHardFail: true'
! grep -e 'rollout restart' "$BOX/calls" || die "restarted in a dry run"
touch "$BOX/rollout-fails"
code 1 "$BOX/new/reconfigure.sh" kube-proxy; says 'not all of its pods are up'
rm "$BOX/rollout-fails"
: >"$BOX/calls"
code 0 "$BOX/new/reconfigure.sh" kube-proxy
grep -e 'rollout restart daemonset/kube-proxy' "$BOX/calls" >/dev/null || die "a half done run was taken for a done one"
: >"$BOX/calls"
code 0 "$BOX/new/reconfigure.sh" kube-proxy; says 'nothing to do'
! grep -e 'rollout' "$BOX/calls" || die "restarted for nothing"

step "coredns"
image=$("$KUBEADM" config images list --config /etc/kubernetes/kubeadm.yaml 2>/dev/null | grep coredns)
echo "$image" >"$BOX/coredns"
code 0 "$BOX/new/reconfigure.sh" coredns; says 'nothing to do'
echo "registry.k8s.io/coredns/coredns:${image##*:}" >"$BOX/coredns"
: >"$BOX/calls"
code 2 "$BOX/new/reconfigure.sh" coredns --dry-run; says 'registry.example.com'
code 0 "$BOX/new/reconfigure.sh" coredns
grep -e 'init phase addon coredns' "$BOX/calls" >/dev/null || die "kubeadm was not asked"
echo registry.k8s.io/coredns/coredns:v1.0.0 >"$BOX/coredns"
code 6 "$BOX/new/reconfigure.sh" coredns; says 'reconfigure.sh upgrade'

step "kubelet-config"
live new
mkdir -p /var/lib/kubelet
configmap() { # NAME KEY <TEXT
    jq -Rs --arg name "$1" --arg key "$2" '{apiVersion: "v1", kind: "ConfigMap", metadata: {name: $name, namespace: "kube-system"}, data: {($key): .}}' \
        >"$BOX/www/api/v1/namespaces/kube-system/configmaps/$1"
}
text_of() { awk -v key="  $1: |" '$0 == key { inside = 1; next } inside && !/^    / { exit } inside { print substr($0, 5) }' "$BOX/live.yaml"; }
text_of ClusterConfiguration | configmap kubeadm-config ClusterConfiguration
text_of kubelet | configmap kubelet-config kubelet
"$KUBEADM" init phase addon kube-proxy --print-manifest --config /etc/kubernetes/kubeadm.yaml |
    awk '$0 == "  config.conf: |-" { inside = 1; next } inside && !/^    / { exit } inside { print substr($0, 5) }' | configmap kube-proxy config.conf
jq -n '{apiVersion: "v1", kind: "Node", metadata: {name: "k8smaster1.isociel.com", labels: {"kubernetes.io/hostname": "k8smaster1.isociel.com"}, annotations: {"kubeadm.alpha.kubernetes.io/cri-socket": "unix:///run/containerd/containerd.sock"}}}' \
    >"$BOX/www/api/v1/nodes/k8smaster1.isociel.com"
jq -n '{apiVersion: "v1", kind: "PodList", items: [{apiVersion: "v1", kind: "Pod", metadata: {name: "kube-apiserver-k8smaster1.isociel.com", namespace: "kube-system",
    labels: {component: "kube-apiserver", tier: "control-plane"}, annotations: {"kubeadm.kubernetes.io/kube-apiserver.advertise-address.endpoint": "192.168.13.61:6443"}}}]}' >"$BOX/www/pods"
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /O=system:nodes/CN=system:node:k8smaster1.isociel.com \
    -keyout "$BOX/node.key" -out "$BOX/node.crt" 2>/dev/null
sed -e "s|\(client-certificate-data: \).*|\1$(base64 -w 0 "$BOX/node.crt")|" -e "s|\(client-key-data: \).*|\1$(base64 -w 0 "$BOX/node.key")|" \
    /etc/kubernetes/admin.conf >/etc/kubernetes/kubelet.conf
printf 'healthzPort: 10248\nmaxPods: 110\n' >/var/lib/kubelet/config.yaml
printf 'containerRuntimeEndpoint: "unix:///run/containerd/containerd.sock"\n' >/var/lib/kubelet/instance-config.yaml
echo 'KUBELET_KUBEADM_ARGS="--node-ip=192.168.13.61"' >/var/lib/kubelet/kubeadm-flags.env
printf '{"major": "1", "minor": "36", "gitVersion": "v1.36.4"}' >"$BOX/www/version"
stamps >"$BOX/before"
code 2 "$BOX/new/reconfigure.sh" kubelet-config --dry-run
says '^\+maxPods: 200'; says '^\+clusterDomain: cluster.local'; says 'restart kubelet.service'
stamps >"$BOX/after"; same "$BOX/before" "$BOX/after"
cp -a /var/lib/kubelet "$BOX/kubelet.old"
: >"$BOX/calls"
code 1 "$BOX/new/reconfigure.sh" kubelet-config --wait 1; says 'kubelet does not come up'; says 'as they were before'
diff -r "$BOX/kubelet.old" /var/lib/kubelet || die "not put back"
[[ $(grep -c -x 'restart kubelet.service' "$BOX/calls") -eq 2 ]] || die "kubelet was not restarted with its former settings"
printf 'pid %s; error_log %s; daemon on;\nevents {}\nhttp { access_log off; server { listen 127.0.0.1:10248; location = /healthz { return 200 "ok"; } } }\n' \
    "$BOX/nginx.pid" "$BOX/nginx.log" >"$BOX/nginx.conf"
nginx -c "$BOX/nginx.conf" -e "$BOX/nginx.log"
code 0 "$BOX/new/reconfigure.sh" kubelet-config --wait 5
grep -x -e 'maxPods: 200' /var/lib/kubelet/config.yaml >/dev/null || die "$(cat /var/lib/kubelet/config.yaml)"
grep -x -e 'containerRuntimeEndpoint: unix:///run/containerd/containerd.sock' /var/lib/kubelet/config.yaml >/dev/null || die "the socket is lost"
cmp "$BOX/kubelet.old/config.yaml" /var/lib/khagen/reconfigure/kubelet-config/files/var/lib/kubelet/config.yaml
: >"$BOX/calls"
code 0 "$BOX/new/reconfigure.sh" kubelet-config; says 'nothing to do'
! grep -e restart "$BOX/calls" || die "restarted for nothing"
# the host's own settings lie over the cluster's
mkdir -p /etc/kubernetes/patches
echo 'maxPods: 50' >/etc/kubernetes/patches/kubeletconfiguration+merge.yaml
cp -a "$BOX/new" "$BOX/patched"
sed -i 's|^"files": \[|&\n{"path": "/etc/kubernetes/patches/kubeletconfiguration+merge.yaml", "policy": "input"},|' "$BOX/patched/MANIFEST.json"
sed -i 's/"manifest": .*/"manifest": "'"$(sha256sum "$BOX/patched/MANIFEST.json" | cut -c 1-64)"'"/' /var/lib/khagen/receipt.json
code 2 "$BOX/patched/reconfigure.sh" kubelet-config --dry-run; says '^\+maxPods: 50'
rm -r /etc/kubernetes/patches
takes() { sed -i 's/"manifest": .*/"manifest": "'"$(sha256sum "$BOX/$1/MANIFEST.json" | cut -c 1-64)"'"/' /var/lib/khagen/receipt.json; }
takes new

step "kubelet-credentials"
PEM=/var/lib/kubelet/pki/kubelet-client-current.pem
CA=/etc/kubernetes/pki/ca.crt
cp -a $CA "$BOX/kept-ca.crt"; cp -a /etc/kubernetes/kubelet.conf "$BOX/kept-kubelet.conf"
signs_node() { # CERTIFICATE KEY: a certificate of that CA, as the cluster would sign it, in BOX/signed.pem
    openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /O=system:nodes/CN=system:node:k8smaster1.isociel.com -keyout "$BOX/signed.key" \
        -out "$BOX/signed.csr" 2>/dev/null
    openssl x509 -req -in "$BOX/signed.csr" -CA "$1" -CAkey "$2" -CAcreateserial -CAserial "$BOX/serial" -days 2 -out "$BOX/signed.crt" 2>/dev/null
    cat "$BOX/signed.crt" "$BOX/signed.key" >"$BOX/signed.pem"
}
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=kubernetes -days 2 -keyout "$BOX/next-ca.key" -out "$BOX/next-ca.crt" 2>/dev/null
trusted() { sed -n 's/^ *certificate-authority-data: //p' /etc/kubernetes/kubelet.conf | base64 -d | cmp -s - $CA; }
# as the kubelet has it after its first day: a link to a file by date, which kubelet.conf names
mkdir -p "${PEM%/*}"
signs_node $CA /etc/kubernetes/pki/ca.key
cp "$BOX/signed.pem" "${PEM%/*}/kubelet-client-2026-01-01.pem"
ln -s "${PEM%/*}/kubelet-client-2026-01-01.pem" $PEM
sed -i -e "s|client-certificate-data: .*|client-certificate: $PEM|" -e "s|client-key-data: .*|client-key: $PEM|" /etc/kubernetes/kubelet.conf
: >"$BOX/calls"
code 0 "$BOX/new/reconfigure.sh" kubelet-credentials; says 'nothing to do'
! grep -e restart "$BOX/calls" || die "restarted for nothing"
# a second CA, which does not sign yet
cat "$BOX/next-ca.crt" >>$CA
cp -a /etc/kubernetes/kubelet.conf "$BOX/kubelet.conf.old"
stamps >"$BOX/before"
code 2 "$BOX/new/reconfigure.sh" kubelet-credentials --dry-run
says 'replace /etc/kubernetes/kubelet.conf'; says 'restart kubelet.service'
! grep -e kubelet-client "$BOX/out" || die "its certificate is the present CA's"
stamps >"$BOX/after"; same "$BOX/before" "$BOX/after"
kill "$(<"$BOX/nginx.pid")"
await eval '! pgrep -F "$BOX/nginx.pid" >/dev/null 2>&1'
code 1 "$BOX/new/reconfigure.sh" kubelet-credentials --wait 1; says 'kubelet does not come up'; says 'as they were before'
cmp "$BOX/kubelet.conf.old" /etc/kubernetes/kubelet.conf || die "not put back"
nginx -c "$BOX/nginx.conf" -e "$BOX/nginx.log"
: >"$BOX/calls"
code 0 "$BOX/new/reconfigure.sh" kubelet-credentials --wait 5
trusted || die "it does not trust both"
[[ $(stat -c '%a %U' /etc/kubernetes/kubelet.conf) == '600 root' ]] || die "mode of kubelet.conf"
grep -x -e 'restart kubelet.service' "$BOX/calls" >/dev/null || die "not restarted"
cmp "$BOX/kubelet.conf.old" /var/lib/khagen/reconfigure/kubelet-credentials/files/etc/kubernetes/kubelet.conf
code 0 "$BOX/new/reconfigure.sh" kubelet-credentials; says 'nothing to do'
# from now on the second one signs
cat "$BOX/next-ca.crt" "$BOX/kept-ca.crt" >$CA
cp -a /etc/kubernetes/kubelet.conf "$BOX/kubelet.conf.old"
as_before() {
    cmp "$BOX/kubelet.conf.old" /etc/kubernetes/kubelet.conf && [[ $(readlink $PEM) == *2026-01-01.pem && ! -e /etc/kubernetes/bootstrap-kubelet.conf && ! -e /var/lib/khagen/pending ]]
}
code 2 "$BOX/new/reconfigure.sh" kubelet-credentials --dry-run; says "replace $PEM"
"$BOX/new/reconfigure.sh" kubelet-credentials --wait 4 >"$BOX/out" 2>"$BOX/err" &
script=$!
await eval '[[ ! -e /etc/kubernetes/kubelet.conf ]]'
ls "$TMPDIR"/*/signer.crt >/dev/null || die "no folder of its own to look at"
! grep -r -l -e 'PRIVATE KEY' "$TMPDIR" || die "a key lies in the folder for what is made on the way"
wait "$script" && die "it ended with 0"
says 'no certificate came'; says 'as they were before'
as_before || die "not put back"
# what a kubelet without kubelet.conf does: it asks with the bootstrap file's credentials, which must not be the link
cat >"$BOX/bootstraps" <<'END'
from=/etc/kubernetes/bootstrap-kubelet.conf pki=/var/lib/kubelet/pki
if [[ -e /etc/kubernetes/kubelet.conf || -e $pki/kubelet-client-current.pem ]]; then exit; fi
[[ $(sed -n 's/^ *client-certificate: //p' $from) == "$pki/kubelet-client-2026-01-01.pem" && $(sed -n 's/^ *client-key: //p' $from) == "$pki/kubelet-client-2026-01-01.pem" ]] || exit
sed "s|$pki/kubelet-client-2026-01-01.pem|$pki/kubelet-client-current.pem|" $from >/etc/kubernetes/kubelet.conf
cp "$1" $pki/kubelet-client-2026-02-02.pem
ln -s $pki/kubelet-client-2026-02-02.pem $pki/kubelet-client-current.pem
END
cp /usr/local/sbin/systemctl "$BOX/systemctl"
sed -i "2i if [[ \"\$*\" == 'start kubelet.service' ]]; then bash $BOX/bootstraps $BOX/signed.pem; fi" /usr/local/sbin/systemctl
code 1 "$BOX/new/reconfigure.sh" kubelet-credentials --wait 5; says 'the former CA signed it'; says 'as they were before'
as_before || die "not put back"
signs_node "$BOX/next-ca.crt" "$BOX/next-ca.key"
code 0 "$BOX/new/reconfigure.sh" kubelet-credentials --wait 5
trusted || die "it does not trust both"
openssl verify -partial_chain -CAfile "$BOX/next-ca.crt" $PEM >/dev/null || die "another CA's certificate"
[[ ! -e /etc/kubernetes/bootstrap-kubelet.conf ]] || die "the bootstrap file is left"
code 0 "$BOX/new/reconfigure.sh" kubelet-credentials; says 'nothing to do'
# none of kubeadm's making
sed -i 's|^\( *\)server: |\1certificate-authority-data: AAAA\n&|' /etc/kubernetes/kubelet.conf
code 6 "$BOX/new/reconfigure.sh" kubelet-credentials; says 'not as kubeadm makes it'

step "cluster-info"
printf 'apiVersion: v1\ndata:\n  kubeconfig: |\n    clusters:\n    - cluster:\n        certificate-authority-data: %s\n        server: https://k8sapi.isociel.com:6443\nkind: ConfigMap\n' \
    "$(base64 -w 0 "$BOX/kept-ca.crt")" >"$BOX/cluster-info"
code 2 "$BOX/new/reconfigure.sh" cluster-info --dry-run; says 'kube-public/cluster-info'
cp "$BOX/cluster-info" "$BOX/cluster-info.old"
code 0 "$BOX/new/reconfigure.sh" cluster-info
sed -n 's/^ *certificate-authority-data: //p' "$BOX/cluster-info" | base64 -d | cmp - $CA || die "it does not tell of both"
diff <(grep -v certificate-authority "$BOX/cluster-info.old") <(grep -v certificate-authority "$BOX/cluster-info") || die "more was changed"
cmp "$BOX/cluster-info.old" /var/lib/khagen/reconfigure/cluster-info/objects.yaml
code 0 "$BOX/new/reconfigure.sh" cluster-info; says 'nothing to do'
rm "$BOX/cluster-info"
code 6 "$BOX/new/reconfigure.sh" cluster-info; says 'has no configmap cluster-info'

cp "$BOX/systemctl" /usr/local/sbin/systemctl
cp -a "$BOX/kept-ca.crt" $CA; cp -a "$BOX/kept-kubelet.conf" /etc/kubernetes/kubelet.conf
rm -r "${PEM%/*}"
mkdir -p /etc/kubernetes/patches
echo 'maxPods: 50' >/etc/kubernetes/patches/kubeletconfiguration+merge.yaml
takes patched

step "upgrade"
HAS=$(sed -n 's/^kubernetesVersion: //p' /etc/kubernetes/kubeadm-cluster.yaml)
NEXT=${HAS%.*}.99
CONFIG=$BOX/www/api/v1/namespaces/kube-system/configmaps/kubeadm-config
uploaded() { sed -i "s/\\\\nkubernetesVersion: v[0-9.]*/\\\\nkubernetesVersion: $1/" "$CONFIG"; }
node_is() { # KUBELET READY
    jq --arg version "$1" --arg ready "$2" '.status = {nodeInfo: {kubeletVersion: $version}, conditions: [{type: "DiskPressure", status: "False"}, {type: "Ready", status: $ready}]}' \
        "$BOX/www/api/v1/nodes/k8smaster1.isociel.com" >"$BOX/node.json"
    mv "$BOX/node.json" "$BOX/www/api/v1/nodes/k8smaster1.isociel.com"
}
bundle_of() { # NAME SED-EXPRESSION
    cp -a "$BOX/patched" "$BOX/$1"
    sed -i -e "s/^\"kubernetesVersion\": .*/\"kubernetesVersion\": \"$NEXT\",/" -e "$2" "$BOX/$1/MANIFEST.json"
}
images() { sed -n 's/^ *image: .*:\(v[0-9.]*\)$/\1/p' $MANIFESTS/*.yaml | sort -u; }
# What kubeadm upgrade does on a node, without an API that it could write to: the flags are judged and kubelet's files
# written by the real one.
cat >/usr/local/sbin/kubeadm <<STUB
#!/bin/bash
echo "kubeadm \$*" >>$BOX/calls
case "\$*" in
    'version -o short') cat $BOX/kubeadm-version; exit ;;
    'upgrade apply $NEXT --'* | 'upgrade node --'*)
        "$KUBEADM" "\$@" --help >/dev/null || exit
        [[ "\$*" == *' --patches /etc/kubernetes/patches' && "\$*" == *' --certificate-renewal=false '* ]] || exit 1 ;;
    *) exec "$KUBEADM" "\$@" ;;
esac
if [[ -f $BOX/upgrade-fails ]]; then echo 'not today' >&2; exit 1; fi
if [[ -f $BOX/upgrade-hangs ]]; then mv $MANIFESTS/kube-scheduler.yaml $BOX/; sleep 60; fi
if [[ -f $MANIFESTS/kube-apiserver.yaml ]]; then
    sed -i 's/\\(image: .*kube-[a-z-]*\\):v.*/\\1:$NEXT/' $MANIFESTS/*.yaml
    until (exec 3<>/dev/tcp/192.168.13.61/6443) 2>/dev/null && pgrep -x kube-scheduler >/dev/null; do sleep 0.1; done
    sleep 1
fi
if [[ \$2 == apply ]]; then sed -i 's/\\\\nkubernetesVersion: v[0-9.]*/\\\\nkubernetesVersion: $NEXT/' $CONFIG; fi
if [[ -f $BOX/upgrade-fails-late ]]; then rm $BOX/upgrade-fails-late; exit 1; fi
"$KUBEADM" upgrade node phase kubelet-config --patches /etc/kubernetes/patches
STUB
printf '#!/bin/sh\necho "Kubernetes $(cat %s)"\n' "$BOX/kubelet-version" >/usr/local/sbin/kubelet
chmod 0755 /usr/local/sbin/kubelet
sed -i "2i if [[ \"\$*\" == 'restart kubelet.service' && -f $BOX/node.next ]]; then cp $BOX/node.next $BOX/www/api/v1/nodes/k8smaster1.isociel.com; fi" /usr/local/sbin/systemctl
mkdir -p "${PEM%/*}"
bundle_of next ''
bundle_of worker 's/^"roles": .*/"roles": ["worker"],/'
takes next
echo "$HAS" | tee "$BOX/kubeadm-version" >"$BOX/kubelet-version"
code 6 "$BOX/next/reconfigure.sh" upgrade; says "kubeadm is $HAS, kubelet is $HAS on this host, the bundle is for $NEXT.*kubeadm=${NEXT#v}"
echo "$NEXT" >"$BOX/kubeadm-version"
code 6 "$BOX/next/reconfigure.sh" upgrade; says "upgrade.*: kubelet is $HAS on|reconfigure.sh: kubelet is $HAS on"
echo "$NEXT" >"$BOX/kubelet-version"
code 6 "$BOX/next/reconfigure.sh" upgrade; says "$PEM is missing"
cat "$BOX/node.crt" "$BOX/node.key" >$PEM
node_is "$NEXT" True
cp "$BOX/www/api/v1/nodes/k8smaster1.isociel.com" "$BOX/node.next"
node_is "$HAS" True
uploaded "v1.34.2"; code 6 "$BOX/next/reconfigure.sh" upgrade; says "one minor at a time.*v1.35 first"
uploaded "v1.37.0"; code 6 "$BOX/next/reconfigure.sh" upgrade; says "does not go down"
uploaded "$HAS"
: >"$BOX/calls"; stamps >"$BOX/before"
code 2 "$BOX/next/reconfigure.sh" upgrade --dry-run
says "the cluster: $HAS, then $NEXT"; says 'restart kube-scheduler'; says "^kubeadm upgrade apply $NEXT --yes --certificate-renewal=false"; says 'restart kubelet.service'
stamps >"$BOX/after"; same "$BOX/before" "$BOX/after"
! grep -e '^kubeadm upgrade apply' -e 'restart' "$BOX/calls" || die "done in a dry run"

# the first control plane; it fails, is killed, fails late, and its kubelet does not come up
cp -a $MANIFESTS "$BOX/manifests.has"; cp /var/lib/kubelet/config.yaml "$BOX/kubelet.yaml"
touch "$BOX/upgrade-fails"
code 1 "$BOX/next/reconfigure.sh" upgrade; says 'not today'; says "upgrade apply $NEXT .*failed"
rm "$BOX/upgrade-fails"; touch "$BOX/upgrade-hangs"
rm -rf "$TMPDIR"/*
setsid "$BOX/next/reconfigure.sh" upgrade >/dev/null 2>&1 &
script=$!
is_out() { [[ ! -f $MANIFESTS/kube-scheduler.yaml ]]; }
await is_out
kill -9 -- "-$script"
rm -rf "$TMPDIR"/* "$BOX/upgrade-hangs"
touch "$BOX/upgrade-fails-late"
code 1 "$BOX/next/reconfigure.sh" upgrade --wait 20; says 'kube-scheduler: its manifest is missing'
[[ $(images) == "$NEXT" ]] || die "$(images)"
: >"$BOX/calls"
mv "$BOX/node.next" "$BOX/node.later"
code 1 "$BOX/next/reconfigure.sh" upgrade --wait 2; says "not Ready with kubelet $NEXT .kubelet: $HAS, Ready: yes"
grep -e "^kubeadm upgrade apply $NEXT" "$BOX/calls" >/dev/null || die "a half done apply was taken for a done one"
mv "$BOX/node.later" "$BOX/node.next"
code 0 "$BOX/next/reconfigure.sh" upgrade --wait 20
for name in kube-apiserver kube-controller-manager kube-scheduler; do
    cmp "$BOX/manifests.has/$name.yaml" /var/lib/khagen/reconfigure/upgrade/$name.yaml || die "the former manifest of $name is not kept"
done
cmp "$BOX/kubelet.yaml" /var/lib/khagen/reconfigure/upgrade/config.yaml
grep -x -e 'maxPods: 50' /var/lib/kubelet/config.yaml >/dev/null || die "the host's own settings are lost"
: >"$BOX/calls"
code 0 "$BOX/next/reconfigure.sh" upgrade; says 'nothing to do'
! grep -e '^kubeadm upgrade apply' -e '^kubeadm upgrade node --' -e restart "$BOX/calls" || die "upgraded for nothing"
# needrestart may have restarted kubelet before; what is written for it decides
cp "$BOX/kubelet.yaml" /var/lib/kubelet/config.yaml
code 2 "$BOX/next/reconfigure.sh" upgrade --dry-run; says '^kubeadm upgrade node '

# another control plane: the cluster is of the version already
rm $MANIFESTS/*.yaml; cp -a "$BOX"/manifests.has/* $MANIFESTS/
await all_up
node_is "$HAS" True
: >"$BOX/calls"
code 0 "$BOX/next/reconfigure.sh" upgrade --wait 20
grep -e '^kubeadm upgrade node --certificate-renewal=false' "$BOX/calls" >/dev/null || die "not upgraded"
[[ $(images) == "$NEXT" && $(grep -c -x 'restart kubelet.service' "$BOX/calls") -eq 1 ]] || die "$(images)"
! grep -e '^kubeadm upgrade apply' "$BOX/calls" || die "applied twice"

# a worker: after all control planes
takes worker
node_is "$HAS" True
mv $MANIFESTS "$BOX/manifests.aside"; mkdir $MANIFESTS
await is_down
"$BOX/pods/kube-apiserver" -c "$BOX/pods/api.conf" -e "$BOX/pods/api.log" &   # another control plane's
await serving >/dev/null
uploaded "$HAS"; code 6 "$BOX/worker/reconfigure.sh" upgrade; says "the cluster is still $HAS.*on each control plane first"
uploaded "$NEXT"; printf '{"gitVersion": "%s"}' "$HAS" >"$BOX/www/version"
code 6 "$BOX/worker/reconfigure.sh" upgrade; says "an API server behind k8sapi.* is still $HAS"
printf '{"major": "1", "minor": "36", "gitVersion": "%s"}' "$NEXT" >"$BOX/www/version"
: >"$BOX/calls"
code 0 "$BOX/worker/reconfigure.sh" upgrade --wait 5
grep -e '^kubeadm upgrade node --certificate-renewal=false' "$BOX/calls" >/dev/null || die "not upgraded"
! grep -e kubectl "$BOX/calls" || die "a worker has no kubectl"
code 0 "$BOX/worker/reconfigure.sh" upgrade; says 'nothing to do'
[[ ! -e /var/lib/khagen/pending && -z $(ls /var/lib/khagen/backups) && -z $(ls "$TMPDIR") ]] || die "something was left behind: $(ls "$TMPDIR")"
printf 'all steps passed after %s s\n' "$SECONDS"

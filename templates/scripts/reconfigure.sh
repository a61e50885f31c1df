#!/bin/bash
# Usage: reconfigure.sh PROCEDURE [--dry-run] [--wait SECONDS]
#
# Brings to a running cluster what only a procedure changes, as the installed bundle says. Run
# install.sh first, and this on one control plane at a time. A second run does nothing.
#
#   upload-config   the cluster's and the kubelets' settings in the cluster (once, on any control plane)
#   control-plane   this host's API server, controller manager and scheduler, each until it serves
#   certificates    this control plane's certificates and kubeconfigs that the bundle has anew; where kubeadm
#                   signs (kubernetes.pki: kubeadm), those that end soon or lack a name, signed anew here
#   upload-certs    the CAs, for control planes that join within two hours (on any control plane, whenever one
#                   is to join; only with kubernetes.pki: kubeadm)
#   kubelet-config  this node's kubelet, from the settings in the cluster (upload-config comes first)
#   kubelet-credentials  this node's kubelet trusts the Kubernetes CAs that the bundle holds, and gets a
#                   certificate of the one that signs (a rotation of ca/kubernetes)
#   cluster-info    what nodes that join are told to trust, the same CAs (once, on any control plane)
#   kube-proxy      kube-proxy's settings, and its pods anew (once, on any control plane)
#   coredns         CoreDNS (once, on any control plane)
#   upgrade         this node to the bundle's version of Kubernetes: control planes one at a time, then
#                   the other nodes, each drained before. Its packages (kubeadm, kubelet) come first
#
#   --dry-run       say what would be changed; change nothing; exit 2 if there is anything
#   --wait SECONDS  how long to wait for each thing that must come up (default 300)
#
# Files that are replaced are kept in /var/lib/khagen/reconfigure/PROCEDURE. What fails is put back; an
# upgrade that fails goes on where it ended when it is run again.
#
# Exit codes: 0 done or nothing to do, 1 error (see above for what is put back), 2 a dry run found
# changes, 4 the bundle is damaged or not the installed one, 5 wrong host, 6 a precondition is not
# met, 64 usage.

# @include prelude.sh
# @include host.sh
# @include probe.sh
# @include pods.sh
# @include upgrade.sh
# @include signing.sh
# @include trust.sh

DRY=''
WAIT=300
PROCEDURE=''
KEPT=$STATE/reconfigure
WORK=''             # a folder for what is made on the way; it holds no secret
BACKUP=''           # the name of this run's backup
ADMIN=/etc/kubernetes/admin.conf
KUBELET=/var/lib/kubelet

kubeadm_does() {
    if ! "$(tool kubeadm)" "$@" 2>&1 | tee -a "${LOG:-/dev/null}" >&2; then
        finish 1 "kubeadm ${*:1:3} ${4-} failed (its reason is above)"
    fi
}
kubectl_does() { "$(tool kubectl)" --kubeconfig="$ADMIN" --request-timeout=30s "$@"; }

# ---- backup: what a killed run leaves is put back by the next run of any script ----

# back_up PATH...: these as they are now; from here until settled the host is between old and new.
back_up() {
    local saved path
    BACKUP=reconfigure-$(date -u +%Y%m%dT%H%M%SZ)
    saved=$STATE/backups/$BACKUP.new
    rm -rf -- "$saved" "${saved%.new}"
    mkdir -p -- "$saved/files"
    for path in "$@"; do
        if [[ $path == *.service ]]; then
            printf 'unit|%s|yes|yes|restart\n' "$path"
        elif there "$path"; then
            mkdir -p -- "$saved/files${path%/*}"
            cp -a -- "$path" "$saved/files$path"
            printf 'file|%s\n' "$path"
        else
            printf 'none|%s\n' "$path"
        fi
    done >"$saved/INDEX"
    cp -a -- "$STATE/installed" "$saved/installed"
    cp -a -- "$RECEIPT" "$saved/receipt.json"
    sync -f -- "$saved"
    mv -T -- "$saved" "$STATE/backups/$BACKUP"
    UNDO=undo
    mark_pending "$BACKUP"
}
undo() {
    say "putting back what was there before"
    if put_back "$BACKUP"; then say "the files of this host are as they were before"; fi
    clean
}
settled() {
    UNDO=clean
    rm -f -- "$PENDING"
    mkdir -p -- "$KEPT"
    rm -rf -- "${KEPT:?}/$PROCEDURE"
    mv -T -- "$STATE/backups/$BACKUP" "$KEPT/$PROCEDURE"
    rm -rf -- "$KEPT/$PROCEDURE/installed" "$KEPT/$PROCEDURE/receipt.json"
    say "what was there before is kept in $KEPT/$PROCEDURE"
}
# same_bytes A B: cmp's own failure is no answer.
same_bytes() {
    local code=0
    cmp -s -- "$1" "$2" || code=$?
    if [[ $code -gt 1 ]]; then finish 1 "cmp ended with $code"; fi
    return "$code"
}
clean() { if [[ -n $WORK ]]; then rm -rf -- "$WORK"; fi; }
work_folder() {
    WORK=$(mktemp -d)
    UNDO=clean
}
# ---- what kubeadm makes of the bundle's documents ----

# The bundle's documents as one file: kubeadm takes one.
phases_config() {
    local file
    for file in /etc/kubernetes/kubeadm-node.yaml /etc/kubernetes/kubeadm-cluster.yaml; do
        [[ -f $file ]] || finish 6 "$file is missing: run install.sh first"
    done
    { cat /etc/kubernetes/kubeadm-node.yaml; printf -- '---\n'; cat /etc/kubernetes/kubeadm-cluster.yaml; } >"$WORK/kubeadm.yaml"
}
wanted_version() { sed -n 's/^kubernetesVersion: *"\{0,1\}\([^"]*\)"\{0,1\}$/\1/p' "$WORK/kubeadm.yaml" | head -n 1; }
# same_version WHAT HAS: a change of versions has an order of its own, which kubeadm upgrade knows.
same_version() {
    local wanted
    wanted=$(wanted_version)
    if [[ -n $2 && $2 != "$wanted" ]]; then
        finish 6 "$1 is $2, the bundle is for $wanted: that is an upgrade: run 'reconfigure.sh upgrade' first"
    fi
}
tag() { printf '%s' "${1##*:}"; }
image_in() { sed -n '/^ *image: /{s/^ *image: *"\{0,1\}\([^" ]*\)"\{0,1\}$/\1/p;q;}' -- "$1"; }
need_api() {
    serves kube-apiserver || finish 6 "the API server of this host is not ready: this procedure goes through it"
    local code=0
    kubectl_does get --raw /readyz >/dev/null || code=$?
    if [[ $code -gt 1 ]]; then finish 1 "kubectl ended with $code"; fi
    [[ $code -eq 0 ]] || finish 6 "the API does not take $ADMIN, or is not reached at its endpoint"
}
# differs FILE: sets DIFFERS to "yes" if the cluster would change by these objects.
DIFFERS=''
differs() {
    local code=0
    kubectl_does diff -f "$1" >"$WORK/diff" || code=$?
    case $code in
        0) DIFFERS='' ;;
        1) DIFFERS=yes ;;
        *) finish 1 "kubectl diff failed (its reason is above)" ;;
    esac
}
# keep_objects KIND/NAME...: as they are now, for the person who wants them back.
keep_objects() {
    rm -rf -- "${KEPT:?}/$PROCEDURE"
    mkdir -p -- "$KEPT/$PROCEDURE"
    kubectl_does -n kube-system get "$@" -o yaml >"$KEPT/$PROCEDURE/objects.yaml"
    say "what the cluster holds now is kept in $KEPT/$PROCEDURE/objects.yaml"
}
nothing() { finish 0 "$PROCEDURE: nothing to do"; }
dry_end() { finish 2 "dry run: nothing was changed"; }

# ---- the procedures ----

control_plane() {
    local name path image has changed=()
    work_folder
    phases_config
    mkdir -p -- "$WORK/manifests"
    [[ -d $MANIFESTS ]] || finish 6 "$MANIFESTS is missing: run up.sh first"
    # In a mount namespace of its own kubeadm writes to our folder; nothing outside it changes.
    if ! unshare --mount --propagation private "$BASH" -c \
        "mount --bind \"\$1\" \"\$2\" && exec \"\$3\" init phase control-plane all --config \"\$4\"" \
        "$ME" "$WORK/manifests" "$MANIFESTS" "$(tool kubeadm)" "$WORK/kubeadm.yaml" >&2; then
        finish 1 "kubeadm did not make the manifests (its reason is above)"
    fi
    for name in $COMPONENTS; do
        path=$WORK/manifests/$name.yaml
        image=$(image_in "$path")
        [[ -n $image ]] || finish 1 "kubeadm made no manifest of $name"
        [[ -f $MANIFESTS/$name.yaml ]] || finish 6 "$MANIFESTS/$name.yaml is missing: has up.sh ended?"
        if same_bytes "$path" "$MANIFESTS/$name.yaml"; then continue; fi
        has=$(image_in "$MANIFESTS/$name.yaml")
        same_version "$name" "$(tag "$has")"
        changed+=("$name")
        if [[ -n $DRY ]]; then
            result "replace $MANIFESTS/$name.yaml"
            diff -u -- "$MANIFESTS/$name.yaml" "$path" | tail -n +3 | grep -e '^[-+]' || :
            result "restart $name"
        fi
    done
    if [[ ${#changed[@]} -eq 0 ]]; then nothing; fi
    if [[ -n $DRY ]]; then dry_end; fi
    local paths=("${changed[@]/#/$MANIFESTS/}")
    back_up "${paths[@]/%/.yaml}"
    for name in "${changed[@]}"; do
        say "$name: a new manifest"
        PIDS=$(pids_of "$name")
        lay "$WORK/manifests/$name.yaml" "$MANIFESTS/$name.yaml" 0600 root root
        comes_up "$name"
    done
    settled
}

# The bundle's certificates and kubeconfigs that differ from the host's.
ca_of() { case $1 in */front-proxy-*) printf '/etc/kubernetes/pki/front-proxy-ca.crt' ;; *) printf '/etc/kubernetes/pki/ca.crt' ;; esac; }
inline() { sed -n "s/^ *$1: *\"\\{0,1\\}\\([A-Za-z0-9+\\/=]*\\).*/\\1/p" -- "$2" | base64 -d; }
# good_pair PATH CERTIFICATE KEY-FILE
good_pair() {
    local said code=0 own
    said=$(openssl verify -partial_chain -CAfile "$(ca_of "$1")" <<<"$2" 2>&1) || code=$?
    # that the chain does not hold it says with 2 and in words
    case $code:$said in
        0:*) ;;
        2:*'verification failed'*) finish 6 "$1 of the bundle is not of this host's CA, or has expired: build anew" ;;
        *) finish 1 "openssl verify ended with $code" ;;
    esac
    said=$(openssl x509 -noout -pubkey <<<"$2")
    own=$(openssl pkey -in "$3" -pubout)
    if [[ $said != "$own" ]]; then
        finish 4 "$1 of the bundle and its key are no pair"
    fi
}
certificates() {
    local path mode owner group policy sha name new rows changed=() holders=()
    if signs_here; then signed_certificates; return 0; fi
    rows=$(entries files path mode owner group policy sha256)
    while IFS='|' read -r path mode owner group policy sha; do
        if [[ $policy != create-once || $path != /etc/kubernetes/* ]]; then continue; fi
        if there "$path"; then
            digest "$path"
            if [[ $DIGEST == "$sha" ]]; then continue; fi
        fi
        new=$HERE/root$path
        DIGEST=''
        if [[ -f $new ]]; then digest "$new"; fi
        [[ $DIGEST == "$sha" ]] || finish 4 "$new is missing, or not what MANIFEST.json says"
        changed+=("$path|$mode|$owner|$group")
        case $path in
            *.crt) good_pair "$path" "$(<"$new")" "${new%.crt}.key" ;;
            *.conf)
                name=$(inline client-certificate-data "$new")
                good_pair "$path" "$name" <(inline client-key-data "$new") ;;
        esac
        case $path in
            /etc/kubernetes/pki/*) holders+=(kube-apiserver) ;;
            /etc/kubernetes/controller-manager.conf) holders+=(kube-controller-manager) ;;
            /etc/kubernetes/scheduler.conf) holders+=(kube-scheduler) ;;
        esac
    done <<<"$rows"
    if [[ ${#changed[@]} -eq 0 ]]; then nothing; fi
    rows=" ${holders[*]} "
    holders=()
    for name in $COMPONENTS; do if [[ $rows == *" $name "* ]]; then holders+=("$name"); fi; done
    for name in "${changed[@]}"; do
        if [[ -n $DRY ]]; then result "replace ${name%%|*}"; fi
    done
    for name in "${holders[@]}"; do
        [[ -f $MANIFESTS/$name.yaml ]] || finish 6 "$MANIFESTS/$name.yaml is missing: has up.sh ended?"
        if [[ -n $DRY ]]; then result "restart $name"; fi
    done
    if [[ -n $DRY ]]; then dry_end; fi
    local manifests=("${holders[@]/#/$MANIFESTS/}")
    back_up "${changed[@]%%|*}" "${manifests[@]/%/.yaml}"
    for name in "${changed[@]}"; do
        IFS='|' read -r path mode owner group <<<"$name"
        say "$path: the bundle's"
        lay "$HERE/root$path" "$path" "$mode" "$owner" "$group"
    done
    # What it holds is read at the start.
    for name in "${holders[@]}"; do restart "$name"; done
    settled
}

upload_config() {
    local has
    work_folder
    phases_config
    need_api
    has=$(kubectl_does -n kube-system get configmap kubeadm-config -o 'jsonpath={.data.ClusterConfiguration}' |
        sed -n 's/^kubernetesVersion: *//p')
    same_version "the cluster" "$has"
    # What kubeadm would upload, as it prints it when it is told to do nothing, through an address where nobody is.
    mkdir -p -- "$WORK/dry"
    printf '%s\n' 'apiVersion: v1' 'kind: Config' 'clusters: [{name: none, cluster: {server: "http://127.0.0.1:9"}}]' \
        'contexts: [{name: none, context: {cluster: none, user: none}}]' 'current-context: none' 'users: [{name: none}]' >"$WORK/dry/admin.conf"
    if ! KUBEADM_INIT_DRYRUN_DIR=$WORK/dry "$(tool kubeadm)" init phase upload-config all --dry-run --config "$WORK/kubeadm.yaml" >"$WORK/printed"; then
        finish 1 "kubeadm does not take the bundle's documents (its reason is above)"
    fi
    awk '/^\[dryrun\] Attached object:/ { inside = 1; print "---"; next } /^\[/ || $0 == "" { inside = 0 } inside' "$WORK/printed" >"$WORK/objects.yaml"
    [[ -s $WORK/objects.yaml ]] || finish 6 "this kubeadm does not say what it would upload: it is older than 1.32"
    differs "$WORK/objects.yaml"
    if [[ -z $DIFFERS ]]; then nothing; fi
    if [[ -n $DRY ]]; then
        grep -e '^[-+]' -- "$WORK/diff" || :
        dry_end
    fi
    keep_objects configmap/kubeadm-config configmap/kubelet-config
    kubeadm_does init phase upload-config all --config "$WORK/kubeadm.yaml"
    differs "$WORK/objects.yaml"
    if [[ -n $DIFFERS ]]; then finish 1 "the cluster still differs from the bundle: does something else write kubeadm-config?"; fi
}

kubelet_healthy() {
    local line port=10248 code=0
    while IFS= read -r line; do
        if [[ $line =~ ^healthzPort:\ *([0-9]+) ]]; then port=${BASH_REMATCH[1]}; fi
    done <"$KUBELET/config.yaml"
    if [[ $port == 0 ]]; then unit_running kubelet.service; return; fi
    ANSWER=$(timeout 5 "$BASH" -c "exec 3<>\"/dev/tcp/127.0.0.1/\$1\" && printf 'GET /healthz HTTP/1.0\r\n\r\n' >&3 && cat <&3" healthz \
        "$port" 2>/dev/null) || code=$?
    # 1: nobody accepts; 124: nobody answers
    case $code in 0 | 1 | 124) ;; *) finish 1 "timeout ended with $code" ;; esac
    says_ok
}
# kubelet_stays: after a restart.
kubelet_stays() {
    wait_for "kubelet" kubelet_healthy || finish 1 "kubelet does not come up: see journalctl -u kubelet"
    sleep 3
    if ! kubelet_healthy; then finish 1 "kubelet does not stay up: see journalctl -u kubelet"; fi
}
has_patches() {
    local rows
    rows=$(entries files path) || finish 1
    [[ $'\n'$rows == *$'\n/etc/kubernetes/patches/'* ]]
}
# kubelet_files: sets NEW_FILES to those of kubelet's that kubeadm would write otherwise; they are in WORK.
NEW_FILES=()
kubelet_files() {
    local name stamp options=()
    NEW_FILES=()
    for name in config.yaml kubeadm-flags.env instance-config.yaml; do
        if [[ -f $KUBELET/$name ]]; then cp -- "$KUBELET/$name" "$WORK/$name"; fi
    done
    [[ -f $KUBELET/config.yaml ]] || finish 6 "$KUBELET/config.yaml is missing: has up.sh ended?"
    if has_patches; then options+=(--patches /etc/kubernetes/patches); fi
    # Told to do nothing, kubeadm writes to our folder what it would write to kubelet's.
    touch -d @1 -- "$WORK/config.yaml"
    if ! KUBEADM_UPGRADE_DRYRUN_DIR=$WORK "$(tool kubeadm)" upgrade node phase kubelet-config --dry-run "${options[@]}" >"$WORK/printed" 2>"$WORK/errors"; then
        cat -- "$WORK/errors" >&2
        finish 1 "kubeadm did not get kubelet's settings from the cluster (its reason is above)"
    fi
    stamp=$(stat -c %Y -- "$WORK/config.yaml")
    if [[ $stamp == 1 ]]; then finish 6 "this kubeadm does not write where it is told: it is older than 1.32"; fi
    for name in config.yaml kubeadm-flags.env instance-config.yaml; do
        if [[ ! -f $WORK/$name ]]; then continue; fi
        if [[ ! -f $KUBELET/$name ]] || ! same_bytes "$WORK/$name" "$KUBELET/$name"; then NEW_FILES+=("$name"); fi
    done
}
kubelet_config() {
    local name
    work_folder
    kubelet_files
    if [[ ${#NEW_FILES[@]} -eq 0 ]]; then nothing; fi
    if [[ -n $DRY ]]; then
        for name in "${NEW_FILES[@]}"; do
            result "replace $KUBELET/$name"
            diff -u -N -- "$KUBELET/$name" "$WORK/$name" | tail -n +3 | grep -e '^[-+]' || :
        done
        result "restart kubelet.service"
        dry_end
    fi
    back_up "${NEW_FILES[@]/#/$KUBELET/}" kubelet.service
    for name in "${NEW_FILES[@]}"; do
        say "$KUBELET/$name: as the cluster says"
        lay "$WORK/$name" "$KUBELET/$name" 0644 root root
    done
    systemctl restart kubelet.service
    kubelet_stays
    settled
}

# printed ADDON: its objects, as kubeadm would make them.
printed() {
    work_folder
    phases_config
    need_api
    if ! "$(tool kubeadm)" init phase addon "$1" --print-manifest --config "$WORK/kubeadm.yaml" >"$WORK/objects.yaml"; then
        finish 1 "kubeadm does not take the bundle's documents (its reason is above)"
    fi
}
# image_of KIND/NAME: in the cluster.
image_of() { kubectl_does -n kube-system get "$1" -o 'jsonpath={.spec.template.spec.containers[0].image}'; }
wait_rollout() {
    kubectl_does -n kube-system rollout status "$1" --timeout="${WAIT}s" --request-timeout=0 >&2 ||
        finish 1 "${1#*/}: not all of its pods are up after $WAIT s; what was there before is in $KEPT/$PROCEDURE/objects.yaml"
}

kube_proxy() {
    local half=$KEPT/kube-proxy.begun has
    [[ -f /etc/kubernetes/kubeadm-cluster.yaml ]] || finish 6 "/etc/kubernetes/kubeadm-cluster.yaml is missing: run install.sh first"
    has=$(</etc/kubernetes/kubeadm-cluster.yaml)
    [[ $'\n'$has == *$'\nkind: KubeProxyConfiguration'* ]] || finish 6 "this cluster has no kube-proxy of kubeadm's"
    printed kube-proxy
    has=$(image_of daemonset/kube-proxy)
    same_version "kube-proxy" "$(tag "$has")"
    differs "$WORK/objects.yaml"
    if [[ -z $DIFFERS && ! -f $half ]]; then nothing; fi
    if [[ -n $DRY ]]; then
        grep -e '^[-+]' -- "$WORK/diff" || :
        result "restart the pods of daemonset kube-proxy"
        dry_end
    fi
    # Its pods read their settings at the start only, so an interrupted run must not be taken for a done one.
    mkdir -p -- "$KEPT"
    if [[ ! -f $half ]]; then keep_objects configmap/kube-proxy daemonset/kube-proxy; fi
    : >"$half"
    kubeadm_does init phase addon kube-proxy --config "$WORK/kubeadm.yaml"
    kubectl_does -n kube-system rollout restart daemonset/kube-proxy >&2
    wait_rollout daemonset/kube-proxy
    rm -f -- "$half"
}

# Its Corefile may be the user's, and kubeadm leaves one alone; what the bundle decides is the image.
coredns() {
    local has wanted
    printed coredns
    has=$(image_of deployment/coredns)
    wanted=$(image_in "$WORK/objects.yaml")
    if [[ $has == "$wanted" ]]; then nothing; fi
    if [[ $(tag "$has") != "$(tag "$wanted")" ]]; then
        finish 6 "CoreDNS is $(tag "$has"), this kubeadm's is $(tag "$wanted"): that is an upgrade: run 'reconfigure.sh upgrade' first"
    fi
    if [[ -n $DRY ]]; then
        result "image of deployment coredns: $has, then $wanted"
        dry_end
    fi
    keep_objects deployment/coredns configmap/coredns
    kubeadm_does init phase addon coredns --config "$WORK/kubeadm.yaml"
    wait_rollout deployment/coredns
}

main() {
    while [[ $# -gt 0 ]]; do
        case $1 in
            --dry-run) DRY=yes ;;
            --wait) [[ ${2-} =~ ^[0-9]+$ ]] || { show_usage >&2; finish 64; }
                WAIT=$2; shift ;;
            --help | -h) show_usage; finish 0 ;;
            upload-config | control-plane | certificates | upload-certs | kubelet-config | kubelet-credentials | cluster-info | kube-proxy | coredns | upgrade)
                [[ -z $PROCEDURE ]] || { show_usage >&2; finish 64; }
                PROCEDURE=$1 ;;
            *) show_usage >&2; finish 64 ;;
        esac
        shift
    done
    if [[ -z $PROCEDURE ]]; then show_usage >&2; finish 64; fi
    need_root
    check_host
    if [[ $PROCEDURE == kubelet-* || $PROCEDURE == upgrade ]]; then
        has roles control-plane || has roles worker || finish 64 "$(field host) is no node"
    elif ! has roles control-plane; then
        finish 64 "$(field host) is no control plane, and $PROCEDURE is for those"
    fi
    if [[ -z $DRY ]]; then
        take_lock
        open_log
        recover
    elif [[ -f $PENDING ]]; then
        say "an earlier run was cut off: this script would first put back what was there before it"
    fi
    [[ -f $RECEIPT ]] || finish 6 "nothing is installed yet: run $HERE/install.sh first"
    digest "$MANIFEST"
    if [[ $(receipt manifest) != "$DIGEST" ]]; then
        finish 4 "generation $(receipt generation) is installed, this folder is generation $(field generation): run its install.sh first"
    fi
    mark=$(node_mark)
    [[ -f $mark ]] || finish 6 "this node is not in the cluster yet: run up.sh"
    "${PROCEDURE//-/_}"
    finish 0 "$PROCEDURE: done on $(field host)"
}

main "$@"

#!/bin/bash
# Usage: up.sh [--wait SECONDS] [--role ROLE]
#
# The one-time steps of this host, after install.sh: an etcd member starts or is added, a balancer
# is checked, a control plane or worker runs kubeadm init or join. Waits for what must be there
# first (default 600 seconds). A second run does nothing; an interrupted one goes on where it was.
#
#   --wait SECONDS   how long to wait for what other hosts must do first
#   --role ROLE      only the step of this role (etcd, load-balancer, control-plane, worker)
#
# Exit codes: 0 done or nothing to do, 1 error, 4 the bundle is not the installed one, 5 wrong host,
# 6 something is missing: it says what, and which host must come first, 64 usage.

# @include prelude.sh
# @include host.sh
# @include probe.sh

UP=$STATE/up        # marks of what was begun and done
WAIT=600
KUBEADM=/etc/kubernetes/kubeadm.yaml

# wait_for WHAT COMMAND...: until COMMAND succeeds, at most WAIT seconds in all.
wait_for() {
    local what=$1 asked=''
    shift
    until "$@"; do
        if [[ $SECONDS -ge $WAIT ]]; then return 1; fi
        if [[ -z $asked ]]; then say "waiting for $what (at most $WAIT s)"; asked=yes; fi
        sleep 2
    done
}
mark() { mkdir -p -- "$UP"; printf '%s\n' "$(field clusterId)" >"$UP/$1"; }
marked() { [[ -f $UP/$1 && $(<"$UP/$1") == "$(field clusterId)" ]]; }

# ---- etcd ----
etcd_healthy() { etcd_client "$(local_client_url)" endpoint health >/dev/null 2>&1; }
etcd_state() { printf '%s/%s' "$(systemctl show -p ActiveState --value etcd.service)" "$(systemctl show -p SubState --value etcd.service)"; }
etcd_step() {
    if [[ $(field etcdState) == existing ]]; then etcd_add; else etcd_found; fi
}

# A founding member: it starts, and is healthy once a majority does the same.
etcd_found() {
    local patience=$((WAIT < 15 ? WAIT : 15))
    if ! unit_running etcd.service; then systemctl --no-block start etcd.service; fi
    until etcd_healthy; do
        case $(etcd_state) in
            failed/* | */auto-restart) finish 1 "etcd does not stay up: see journalctl -u etcd" ;;
        esac
        if [[ $SECONDS -ge $patience ]]; then
            say "etcd runs and waits for its peers; it forms the cluster as soon as a majority of them is up"
            return 0
        fi
        sleep 1
    done
    say "etcd is healthy"
}

# member FIELD: of the member list's line that has our peer URL (1 id, 2 status, 6 learner).
member() {
    etcd_client "$PEER" member list 2>/dev/null |
        awk -F ', ' -v url="$(env_value ETCD_INITIAL_ADVERTISE_PEER_URLS)" -v n="$1" '
            { count = split($4, urls, ","); for (i = 1; i <= count; i++) if (urls[i] == url) print $n }' || :
}
PEER=''
find_peer() {
    local endpoint
    while read -r endpoint; do
        if [[ $endpoint == "$(local_client_url)" ]]; then continue; fi
        if etcd_client "$endpoint" endpoint health >/dev/null 2>&1; then PEER=$endpoint; return 0; fi
    done < <(list etcdEndpoints)
    return 1
}
REFUSAL=''
announced() {
    if [[ -n $(member 1) ]]; then return 0; fi
    REFUSAL=$(etcd_client "$PEER" member add "$(env_value ETCD_NAME)" --learner \
        --peer-urls="$(env_value ETCD_INITIAL_ADVERTISE_PEER_URLS)" 2>&1 >/dev/null | tail -n 1)
    [[ -z $REFUSAL ]]
}
promoted() {
    if [[ $(member 6) == false ]]; then return 0; fi
    etcd_client "$PEER" member promote "$(member 1)" >/dev/null 2>&1
}

# A member added to a running cluster: announced as a learner, started, then given its vote.
etcd_add() {
    local data known
    data=$(env_value ETCD_DATA_DIR)
    data=${data:-/var/lib/etcd}
    wait_for "a healthy etcd member to add this one through" find_peer ||
        finish 6 "no etcd member answers at $(list etcdEndpoints | paste -s -d ' '): the running cluster must be healthy first"
    known=$(member 2)
    if [[ -d $data/member ]]; then
        if [[ -z $known ]]; then
            finish 6 "$data holds data, but the cluster knows no member with this peer URL: stale. Stop etcd and move it aside: systemctl stop etcd && mv $data $data.stale && install -d -o etcd -g etcd -m 0700 $data"
        fi
    elif [[ $known == started ]]; then
        finish 6 "the cluster remembers this member, but its data is gone from $data. Take it out first, then run this again: etcdctl member remove $(member 1) (at the bastion, with the operator's client)"
    elif [[ -z $known ]]; then
        say "adding $(env_value ETCD_NAME) as a learner through $PEER"
        wait_for "the cluster to take a new member (each of its members must be up for some seconds)" announced ||
            finish 6 "the cluster does not take a new member: $REFUSAL"
    fi
    if ! unit_running etcd.service; then
        systemctl reset-failed etcd.service 2>/dev/null || :
        systemctl --no-block start etcd.service
    fi
    wait_for "this member to catch up and get its vote" promoted ||
        finish 6 "this member is still a learner: see journalctl -u etcd, then run this again"
    wait_for "etcd to be healthy here" etcd_healthy || finish 1 "etcd is not healthy: see journalctl -u etcd"
    say "etcd is healthy and votes"
}

# ---- load-balancer ----
balancer_step() {
    local unit port
    port=$(port_of "$(field endpoint)")
    while read -r unit; do
        case $unit in
            nginx.service | keepalived.service)
                unit_running "$unit" || finish 1 "$unit is not active: see journalctl -u $unit" ;;
        esac
    done < <(entries units unit)
    connects "$(own_address)" "$port" || finish 1 "nginx does not accept at $(own_address) port $port"
    say "the balancer accepts at port $port"
}

# ---- control-plane and worker ----
etcd_tls() {
    printf '%s\n' -verify_return_error -CAfile /etc/kubernetes/pki/etcd/etcd-ca.crt \
        -cert /etc/kubernetes/pki/apiserver-etcd-client.crt -key /etc/kubernetes/pki/apiserver-etcd-client.key
}
SICK=''
etcd_ready() {
    local endpoint tls
    mapfile -t tls < <(etcd_tls)
    SICK=''
    while read -r endpoint; do
        if ! https_get "$(host_of "${endpoint#*://}")" "$(port_of "$endpoint")" /health "${tls[@]}" |
            grep -e '"health": *"true"' >/dev/null; then SICK="$SICK $endpoint"; fi
    done < <(list etcdEndpoints)
    [[ -z $SICK ]]
}
# The number of keys under /registry/, asked through etcd's JSON gateway (no etcdctl needed here).
registry_keys() {
    local endpoint tls answer
    mapfile -t tls < <(etcd_tls)
    endpoint=$(list etcdEndpoints | head -n 1)
    # /registry/ and /registry0, in base64
    answer=$(https_post "$(host_of "${endpoint#*://}")" "$(port_of "$endpoint")" /v3/kv/range \
        '{"key":"L3JlZ2lzdHJ5Lw==","range_end":"L3JlZ2lzdHJ5MA==","count_only":true}' "${tls[@]}")
    if [[ $answer != *'"header"'* ]]; then printf 'unknown'; return 0; fi
    answer=$(sed -n 's/.*"count": *"\([0-9]*\)".*/\1/p' <<<"$answer")
    printf '%s' "${answer:-0}"
}
ours() { ip -o addr show | awk -v wanted="$1" '{ sub(/\/.*/, "", $4) } $4 == wanted { found = 1 } END { exit !found }'; }

# Init works through the endpoint, so the balancer must be there; before any API server runs it
# accepts and hangs up, or this host itself refuses.
WHY=''
endpoint_ready() {
    local endpoint address code=0
    endpoint=$(field endpoint)
    address=$(getent ahosts "$(host_of "$endpoint")" | awk 'NR == 1 { print $1 }' || :)
    if [[ -z $address ]]; then WHY="$(host_of "$endpoint") does not resolve"; return 1; fi
    connects "$address" "$(port_of "$endpoint")" || code=$?
    case $code in
        0) return 0 ;;
        1) WHY="$address refuses port $(port_of "$endpoint"): nginx does not run on the balancer that holds it"
            ours "$address" ;;
        *) WHY="$address does not answer: no balancer holds it, or no route leads there"
            return 1 ;;
    esac
}
api_answers() { https_get "$(host_of "$(field endpoint)")" "$(port_of "$(field endpoint)")" /readyz | grep -e '^ok' >/dev/null; }
# The token's id is no secret; its other half never leaves the file.
token_id() { sed -n 's/^ *token: *"\{0,1\}\([a-z0-9]\{6\}\)\..*/\1/p' "$KUBEADM" | head -n 1; }
CLUSTER_INFO=''
cluster_info_there() {
    CLUSTER_INFO=$(https_get "$(host_of "$(field endpoint)")" "$(port_of "$(field endpoint)")" \
        /api/v1/namespaces/kube-public/configmaps/cluster-info)
    [[ $CLUSTER_INFO == *kubeconfig* ]]
}
node_is_up() { marked kubeadm.done && [[ -f /etc/kubernetes/kubelet.conf ]] && unit_running kubelet.service; }

# run_kubeadm VERB: what an interrupted run of ours left is not held against the next one.
run_kubeadm() {
    local verb=$1 options=() manifests=FileAvailable--etc-kubernetes-manifests
    if [[ $verb == init ]]; then options+=(--skip-token-print); fi
    if marked kubeadm.begun; then
        say "going on with a kubeadm $verb that was cut off"
        options+=("--ignore-preflight-errors=$manifests-kube-apiserver.yaml,$manifests-kube-controller-manager.yaml,$manifests-kube-scheduler.yaml,FileAvailable--etc-kubernetes-kubelet.conf,FileAvailable--etc-kubernetes-bootstrap-kubelet.conf,FileAvailable--etc-kubernetes-pki-ca.crt,Port-$(api_port),Port-10250,Port-10257,Port-10259")
    fi
    mark kubeadm.begun
    if ! "$(tool kubeadm)" "$verb" --config "$KUBEADM" "${options[@]}" 2>&1 | tee -a "$LOG" >&2; then
        finish 1 "kubeadm $verb failed (its reason is above). Cure it and run this again: it goes on where it stopped"
    fi
    mark kubeadm.done
}

kubernetes_step() {
    local verb keys
    verb=$(field kubeadm)
    if node_is_up; then say "this node is in the cluster: nothing to do"; return 0; fi
    if [[ -f /etc/kubernetes/kubelet.conf ]] && ! marked kubeadm.begun; then
        # not our doing (an adopted host): kubeadm has been here
        unit_running kubelet.service || systemctl start kubelet.service
        mark kubeadm.done
        say "kubeadm has set up this node already: nothing to do"
        return 0
    fi
    if [[ -f /etc/kubernetes/kubelet.conf ]] && marked kubeadm.done; then
        systemctl start kubelet.service
        say "kubelet is started again"
        return 0
    fi
    [[ -f $KUBEADM ]] || finish 6 "$KUBEADM is missing: run install.sh first"
    case $verb in
        init)
            wait_for "etcd" etcd_ready || finish 6 "etcd is not healthy at:$SICK. Its hosts come first: install.sh and up.sh there"
            wait_for "the endpoint $(field endpoint)" endpoint_ready || finish 6 "$WHY. The balancers come first: install.sh and up.sh there"
            if ! marked kubeadm.begun; then
                keys=$(registry_keys)
                if [[ $keys == unknown ]]; then finish 6 "etcd did not say whether it already holds a cluster; init is not safe without knowing"; fi
                if [[ $keys -ne 0 ]]; then
                    finish 6 "etcd already holds a Kubernetes cluster ($keys keys under /registry): init would mix with it. If that cluster runs, set cluster.state: running and build, so that this host joins; if it is to go, empty etcd first"
                fi
            fi ;;
        join)
            wait_for "the API at $(field endpoint)" api_answers || {
                endpoint_ready || finish 6 "$WHY. The balancers come first"
                finish 6 "no API server is ready behind $(field endpoint): the first control plane comes first (up.sh there)"
            }
            wait_for "cluster-info" cluster_info_there || finish 6 "kube-public/cluster-info is not there: the first control plane's up.sh has not ended"
            if [[ $CLUSTER_INFO != *"jws-kubeconfig-$(token_id)"* ]]; then
                finish 6 "the bootstrap token $(token_id) has expired. At the bastion run operator/open-joins.sh, which opens joining again for two hours, then run this again"
            fi ;;
        *) finish 1 "MANIFEST.json says '$verb' for kubeadm; this script knows init and join" ;;
    esac
    run_kubeadm "$verb"
    say "kubeadm $verb is done"
}

main() {
    local only=''
    while [[ $# -gt 0 ]]; do
        case $1 in
            --wait) [[ ${2-} =~ ^[0-9]+$ ]] || { show_usage >&2; finish 64; }
                WAIT=$2; shift ;;
            --role) [[ ${2-} =~ ^[a-z-]+$ ]] || { show_usage >&2; finish 64; }
                only=$2; shift ;;
            --help | -h) show_usage; finish 0 ;;
            *) show_usage >&2; finish 64 ;;
        esac
        shift
    done
    need_root
    check_host
    if [[ -n $only ]] && ! has roles "$only"; then finish 64 "$(field host) has no role $only, it has: $(list roles | paste -s -d ' ')"; fi
    take_lock
    if [[ -f $PENDING ]]; then finish 6 "an install was cut off: run install.sh again first"; fi
    [[ -f $RECEIPT ]] || finish 6 "nothing is installed yet: run $HERE/install.sh first"
    if [[ $(receipt manifest) != "$(digest "$MANIFEST")" ]]; then
        finish 4 "generation $(receipt generation) is installed, this folder is generation $(field generation): run its install.sh first"
    fi
    open_log
    if has roles etcd && [[ -z $only || $only == etcd ]]; then etcd_step; fi
    if has roles load-balancer && [[ -z $only || $only == load-balancer ]]; then balancer_step; fi
    if has roles control-plane || has roles worker; then
        case $only in '' | control-plane | worker) kubernetes_step ;; esac
    fi
    finish 0 "done on $(field host)"
}

main "$@"

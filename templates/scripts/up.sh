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
    local thing=$1 said=''
    shift
    until "$@"; do
        if [[ $SECONDS -ge $WAIT ]]; then return 1; fi
        if [[ -z $said ]]; then say "waiting for $thing (at most $WAIT s)"; said=yes; fi
        sleep 2 || finish 1
    done
}
# A mark is there whole or not at all, and outlives a power cut: what was begun is gone on with, never begun again.
mark() {
    mkdir -p -- "$UP"
    printf '%s\n' "$CLUSTER_ID" >"$UP/.$1.new"
    sync -- "$UP/.$1.new"
    mv -f -T -- "$UP/.$1.new" "$UP/$1"
    sync -f -- "$UP"
}
marked() { [[ -f $UP/$1 && $(<"$UP/$1") == "$CLUSTER_ID" ]]; }

# ---- etcd ----
etcd_healthy() { etcd_healthy_at "$SELF_URL"; }
etcd_step() {
    local state
    state=$(field etcdState)
    SELF_URL=$(local_client_url)
    ENDPOINTS=()
    lines ENDPOINTS list etcdEndpoints
    if [[ $state == existing ]]; then etcd_add; else etcd_found; fi
}

# A founding member: it starts, and is healthy once a majority does the same.
etcd_found() {
    local patience=$((WAIT < 15 ? WAIT : 15)) state sub
    if ! unit_running etcd.service; then systemctl --no-block start etcd.service; fi
    until etcd_healthy; do
        state=$(systemctl show -p ActiveState --value etcd.service)
        sub=$(systemctl show -p SubState --value etcd.service)
        case $state/$sub in
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

# find_member: asks PEER for the member with our peer URL; sets ID, STATUS (started, unstarted) and LEARNER, or nothing.
find_member() {
    local list url id status peers learner code=0
    ID='' STATUS='' LEARNER=''
    url=$(env_value ETCD_INITIAL_ADVERTISE_PEER_URLS)
    list=$(etcd_client "$PEER" member list 2>/dev/null) || code=$?
    if [[ $code -gt 1 ]]; then finish 1 "etcdctl ended with $code"; fi
    while IFS=, read -r id status _ peers _ learner; do
        # several URLs of one member are joined by commas as well; ours is the first then
        if [[ ${peers# } == "$url" ]]; then ID=$id STATUS=${status# } LEARNER=${learner##* }; fi
    done <<<"$list"
    [[ $code -eq 0 ]]
}
PEER=''
find_peer() {
    local endpoint
    for endpoint in "${ENDPOINTS[@]}"; do
        if [[ $endpoint == "$SELF_URL" ]]; then continue; fi
        if etcd_healthy_at "$endpoint"; then PEER=$endpoint; return 0; fi
    done
    return 1
}
REFUSAL=''
announced() {
    local code=0 name url
    find_member || return 1
    if [[ -n $ID ]]; then return 0; fi
    name=$(env_value ETCD_NAME)
    url=$(env_value ETCD_INITIAL_ADVERTISE_PEER_URLS)
    REFUSAL=$(etcd_client "$PEER" member add "$name" --learner --peer-urls="$url" 2>&1 >/dev/null) || code=$?
    if [[ $code -gt 1 ]]; then finish 1 "etcdctl ended with $code: $REFUSAL"; fi
    REFUSAL=${REFUSAL##*$'\n'}
    return "$code"
}
promoted() {
    local code=0
    find_member || return 1
    if [[ -z $ID ]]; then return 1; fi
    if [[ $LEARNER == false ]]; then return 0; fi
    etcd_client "$PEER" member promote "$ID" >/dev/null 2>&1 || code=$?
    if [[ $code -gt 1 ]]; then finish 1 "etcdctl ended with $code"; fi
    return "$code"
}

# A member added to a running cluster: announced as a learner, started, then given its vote.
etcd_add() {
    local data name
    data=$(env_value ETCD_DATA_DIR)
    data=${data:-/var/lib/etcd}
    name=$(env_value ETCD_NAME)
    wait_for "a healthy etcd member to add this one through" find_peer ||
        finish 6 "no etcd member answers at ${ENDPOINTS[*]}: the running cluster must be healthy first"
    wait_for "$PEER to name the cluster's members" find_member || finish 6 "$PEER does not name the cluster's members"
    if [[ -d $data/member ]]; then
        if [[ -z $ID ]]; then
            finish 6 "$data holds data, but the cluster knows no member with this peer URL: stale. Stop etcd and move it aside: systemctl stop etcd && mv $data $data.stale && install -d -o etcd -g etcd -m 0700 $data"
        fi
    elif [[ $STATUS == started ]]; then
        finish 6 "the cluster remembers this member, but its data is gone from $data. Take the lost one out, then run this again: khagen-etcd-replace $name --yes"
    elif [[ -z $ID ]]; then
        say "adding $name as a learner through $PEER"
        wait_for "the cluster to take a new member (each of its members must be up for some seconds)" announced ||
            finish 6 "the cluster does not take a new member: $REFUSAL. It takes none while one is down; if that one is lost for good: khagen-etcd-replace NAME --yes"
    fi
    if ! unit_running etcd.service; then
        unit_begin etcd.service
    fi
    wait_for "this member to catch up and get its vote" promoted ||
        finish 6 "this member is still a learner: see journalctl -u etcd, then run this again"
    wait_for "etcd to be healthy here" etcd_healthy || finish 1 "etcd is not healthy: see journalctl -u etcd"
    say "etcd is healthy and votes"
}

# ---- load-balancer ----
balancer_step() {
    local unit port own units=()
    lines units entries units unit
    port=$(field endpoint)
    port=$(port_of "$port")
    own=$(own_address)
    for unit in "${units[@]}"; do
        case $unit in
            nginx.service | keepalived.service)
                unit_running "$unit" || finish 1 "$unit is not active: see journalctl -u $unit" ;;
        esac
    done
    connects "$own" "$port" || finish 1 "nginx does not accept at $own port $port"
    say "the balancer accepts at port $port"
}

# ---- control-plane and worker ----
ETCD_TLS=(-verify_return_error -partial_chain -CAfile /etc/kubernetes/pki/etcd/etcd-ca.crt
    -cert /etc/kubernetes/pki/apiserver-etcd-client.crt -key /etc/kubernetes/pki/apiserver-etcd-client.key)
SICK=''
etcd_ready() {
    local endpoint
    SICK=''
    for endpoint in "${ENDPOINTS[@]}"; do
        ask "$(host_of "${endpoint#*://}")" "$(port_of "$endpoint")" /health "${ETCD_TLS[@]}"
        if ! [[ $ANSWER =~ \"health\":\ *\"true\" ]]; then SICK="$SICK $endpoint"; fi
    done
    [[ -z $SICK ]]
}
# Sets KEYS, the number of keys under /registry/, asked through etcd's JSON gateway (no etcdctl needed here).
registry_keys() {
    local endpoint=${ENDPOINTS[0]}
    # /registry/ and /registry0, in base64
    ask_post "$(host_of "${endpoint#*://}")" "$(port_of "$endpoint")" /v3/kv/range \
        '{"key":"L3JlZ2lzdHJ5Lw==","range_end":"L3JlZ2lzdHJ5MA==","count_only":true}' "${ETCD_TLS[@]}"
    KEYS=unknown
    if [[ $ANSWER != *'"header"'* ]]; then return 0; fi
    KEYS=0
    if [[ $ANSWER =~ \"count\":\ *\"([0-9]+)\" ]]; then KEYS=${BASH_REMATCH[1]}; fi
}

# Init works through the endpoint, so the balancer must be there; before any API server runs it
# accepts and hangs up, or this host itself refuses.
WHY=''
endpoint_ready() {
    local code=0
    resolve "$API_HOST"
    if [[ -z $ADDRESS ]]; then WHY="$API_HOST does not resolve"; return 1; fi
    connects "$ADDRESS" "$API_PORT" || code=$?
    case $code in
        0) return 0 ;;
        1) WHY="$ADDRESS refuses port $API_PORT: nginx does not run on the balancer that holds it"
            is_ours "$ADDRESS" ;;
        *) WHY="$ADDRESS does not answer: no balancer holds it, or no route leads there"
            return 1 ;;
    esac
}
api_answers() { ask "$API_HOST" "$API_PORT" /readyz; says_ok; }
# The token's id is no secret; its other half never leaves the file.
token_id() { sed -n 's/^ *token: *"\{0,1\}\([a-z0-9]\{6\}\)\..*/\1/p' "$KUBEADM" | sed -n 1p; }
cluster_info_there() {
    ask "$API_HOST" "$API_PORT" /api/v1/namespaces/kube-public/configmaps/cluster-info
    [[ $ANSWER == *kubeconfig* ]]
}
# wait_signed TOKEN-ID UNTIL: until cluster-info is signed for the token, or SECONDS is UNTIL.
wait_signed() {
    local said=''
    until cluster_info_there && [[ $ANSWER == *"jws-kubeconfig-$1"* ]]; do
        if [[ $SECONDS -ge $2 ]]; then return 1; fi
        if [[ -z $said ]]; then say "waiting for cluster-info to be signed for the bootstrap token $1"; said=yes; fi
        sleep 2 || finish 1
    done
}

# run_kubeadm VERB: what an interrupted run of ours left is not held against the next one.
run_kubeadm() {
    local verb=$1 options=() manifests=FileAvailable--etc-kubernetes-manifests program port before=0 said
    if [[ $verb == init ]]; then
        options+=(--skip-token-print)
        # It encrypts the CAs with the key of its document, and would print that.
        if [[ $(field pki) == kubeadm ]]; then options+=(--upload-certs --skip-certificate-key-print); fi
    fi
    if marked kubeadm.begun; then
        say "going on with a kubeadm $verb that was cut off"
        port=$(api_port)
        options+=("--ignore-preflight-errors=$manifests-kube-apiserver.yaml,$manifests-kube-controller-manager.yaml,$manifests-kube-scheduler.yaml,FileAvailable--etc-kubernetes-kubelet.conf,FileAvailable--etc-kubernetes-bootstrap-kubelet.conf,FileAvailable--etc-kubernetes-pki-ca.crt,Port-$port,Port-10250,Port-10257,Port-10259")
    fi
    program=$(tool kubeadm)
    mark kubeadm.begun
    if [[ -f $LOG ]]; then before=$(stat -c %s -- "$LOG"); fi
    if ! "$program" "$verb" --config "$KUBEADM" "${options[@]}" 2>&1 | tee -a "$LOG" >&2; then
        said=$(tail -c "+$((before + 1))" -- "$LOG")
        if [[ $said == *'"kubeadm-certs" was not found'* ]]; then
            finish 6 "the CAs lie in the cluster for two hours only, and these have passed. At the bastion run operator/open-joins.sh --control-planes (or, on a control plane that is up, reconfigure.sh upload-certs), then run this again"
        fi
        finish 1 "kubeadm $verb failed (its reason is above). Cure it and run this again: it goes on where it stopped"
    fi
    mark kubeadm.done
}

kubernetes_step() {
    local verb endpoint token issued file
    issued=$(field kubeletCredentials)
    file=$(node_mark)
    verb=$(field kubeadm)
    endpoint=$(field endpoint)
    API_HOST=$(host_of "$endpoint")
    API_PORT=$(port_of "$endpoint")
    ENDPOINTS=()
    lines ENDPOINTS list etcdEndpoints
    unit_state kubelet.service
    if [[ -f $file ]] && marked kubeadm.done; then
        if [[ $RUNNING == yes ]]; then say "this node is in the cluster: nothing to do"; return 0; fi
        systemctl start kubelet.service
        say "kubelet is started again"
        return 0
    fi
    if [[ -f $file ]] && ! marked kubeadm.begun; then
        # not our doing (an adopted host): kubeadm has been here
        if [[ $RUNNING == no ]]; then systemctl start kubelet.service; fi
        mark kubeadm.done
        say "kubeadm has set up this node already: nothing to do"
        return 0
    fi
    [[ -f $KUBEADM ]] || finish 6 "$KUBEADM is missing: run install.sh first"
    case $verb in
        init)
            wait_for "etcd" etcd_ready || finish 6 "etcd is not healthy at:$SICK. Its hosts come first: install.sh and up.sh there"
            wait_for "the endpoint $endpoint" endpoint_ready || finish 6 "$WHY. The balancers come first: install.sh and up.sh there"
            if ! marked kubeadm.begun; then
                registry_keys
                if [[ $KEYS == unknown ]]; then finish 6 "etcd did not say whether it already holds a cluster; init is not safe without knowing"; fi
                if [[ $KEYS -ne 0 ]]; then
                    finish 6 "etcd already holds a Kubernetes cluster ($KEYS keys under /registry): init would mix with it. If that cluster runs, set cluster.state: running and build, so that this host joins; if it is to go, empty etcd first"
                fi
            fi ;;
        join)
            wait_for "the API at $endpoint" api_answers || {
                endpoint_ready || finish 6 "$WHY. The balancers come first"
                finish 6 "no API server is ready behind $endpoint: the first control plane comes first (up.sh there)"
            }
            # with credentials of its own a node needs neither cluster-info nor a token
            if [[ $issued != issued ]]; then
                wait_for "cluster-info" cluster_info_there || finish 6 "kube-public/cluster-info is not there: the first control plane's up.sh has not ended"
                token=$(token_id)
                # The controller-manager signs for a token some seconds after kubeadm init has ended, and takes an expired one's away.
                wait_signed "$token" "$((SECONDS + 60 < WAIT ? SECONDS + 60 : WAIT))" ||
                    finish 6 "the bootstrap token $token has expired. At the bastion run operator/open-joins.sh, which opens joining again for two hours, then run this again"
            fi ;;
        *) finish 1 "MANIFEST.json says '$verb' for kubeadm; this script knows init and join" ;;
    esac
    run_kubeadm "$verb"
    say "kubeadm $verb is done"
}

main() {
    local only='' installed
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
    check_belongs
    if [[ -n $only ]] && ! has roles "$only"; then finish 64 "this host has no role $only, it has: $(list roles | paste -s -d ' ')"; fi
    take_lock
    if [[ -f $PENDING ]]; then finish 6 "an install was cut off: run install.sh again first"; fi
    [[ -f $RECEIPT ]] || finish 6 "nothing is installed yet: run $HERE/install.sh first"
    installed=$(receipt manifest)
    digest "$MANIFEST"
    if [[ $installed != "$DIGEST" ]]; then
        finish 4 "generation $(receipt generation) is installed, this folder is generation $(field generation): run its install.sh first"
    fi
    CLUSTER_ID=$(field clusterId)
    open_log
    if has roles etcd && [[ -z $only || $only == etcd ]]; then etcd_step; fi
    if has roles load-balancer && [[ -z $only || $only == load-balancer ]]; then balancer_step; fi
    if has roles control-plane || has roles worker; then
        case $only in '' | control-plane | worker) kubernetes_step ;; esac
    fi
    finish 0 "done on $(field host)"
}

main "$@"

# ---- gates: what a rollout asks of the cluster between two steps ----
# A gate answers 0 (it holds; GOOD says what was seen), 1 (not, or not yet; WHY says why) or 4 (waiting will not help).
# Everything has a limit: one question takes ten seconds at most.
GOOD=''
WHY=''
TLS=()
WORK=''             # a folder of this run
FROM=$HERE/..       # where the hosts' tarballs are
INCOMING=/var/lib/khagen/incoming

# bundle_file FQDN PATH: a file of the host's bundle as it lies here, in WORK/file.
bundle_file() {
    local code=0
    tar -xzOf "$FROM/$1.tar.gz" "$1/$2" >"$WORK/file" 2>/dev/null || code=$?
    if [[ $code -ne 0 ]]; then finish 1 "tar cannot take $2 out of $FROM/$1.tar.gz (it ended with $code)"; fi
}
# member_of NAME NAME...: is the first one of the others?
member_of() {
    local one
    for one in "${@:2}"; do if [[ $one == "$1" ]]; then return 0; fi; done
    return 1
}
# checks HOST CA-FILE: sets TLS, openssl's words for "its certificate is of that CA and for HOST".
checks() {
    TLS=(-CAfile "$2" -partial_chain -verify_return_error -verify_hostname "$1")
    if [[ $1 == *:* || $1 =~ ^[0-9.]+$ ]]; then TLS=(-CAfile "$2" -partial_chain -verify_return_error -verify_ip "$1"); fi
}
# The cluster's CA, as the administrator's kubeconfig has it, in WORK/ca.crt.
cluster_ca() {
    local line
    if [[ -s $WORK/ca.crt ]]; then return 0; fi
    while IFS= read -r line; do
        if [[ $line =~ ^\ *certificate-authority-data:\ *([A-Za-z0-9+/=]+) ]]; then break; fi
    done <"$HERE/admin.conf"
    if ! base64 -d <<<"${BASH_REMATCH[1]-}" >"$WORK/ca.crt.new" || ! mv -- "$WORK/ca.crt.new" "$WORK/ca.crt"; then
        finish 1 "$HERE/admin.conf does not hold the cluster's CA"
    fi
}

# ---- etcd ----

as_operator() { TLS+=(-cert "$HERE/etcd/operator.crt" -key "$HERE/etcd/operator.key"); }
LISTED=()       # the members as etcd itself lists them, an object each
# member_list: sets LISTED; whoever answers first. "linearizable" wants a majority.
member_list() {
    local url host urls
    urls=$(<"$HERE/etcd/endpoints")
    for url in ${urls//,/ }; do
        host=$(host_of "${url#https://}")
        checks "$host" "$HERE/etcd/ca.crt"
        as_operator
        ask_post "$host" "$(port_of "$url")" /v3/cluster/member/list '{"linearizable":true}' "${TLS[@]}"
        if [[ $ANSWER == *'"members":['* ]]; then
            mapfile -t LISTED <<<"${ANSWER//'{'/$'\n'}"
            return 0
        fi
    done
    return 1
}
healthy_at() {
    local host
    host=$(host_of "${1#https://}")
    checks "$host" "$HERE/etcd/ca.crt"
    as_operator
    ask "$host" "$(port_of "$1")" /health "${TLS[@]}"
    [[ $ANSWER == *'"health":"true"'* ]]
}
VOTERS=0
HEALTHY=()      # short names
# look_at_etcd: who votes, and who answers that it serves.
look_at_etcd() {
    local line name url
    VOTERS=0
    HEALTHY=()
    if ! member_list; then
        WHY="etcd does not say who its members are: no majority serves, or none is reached from here"
        return 1
    fi
    for line in "${LISTED[@]}"; do
        if [[ $line != *'"peerURLs"'* ]]; then continue; fi
        if [[ $line != *'"isLearner":true'* ]]; then VOTERS=$((VOTERS + 1)); fi
        name='' url=''
        if [[ $line =~ '"name":"'([^'"']*)'"' ]]; then name=${BASH_REMATCH[1]}; fi
        if [[ $line =~ '"clientURLs":["'([^'"']*)'"' ]]; then url=${BASH_REMATCH[1]}; fi
        # one that has never started has neither
        if [[ -n $name && -n $url && $line != *'"isLearner":true'* ]] && healthy_at "$url"; then HEALTHY+=("$name"); fi
    done
}
# gate_etcd MEMBERS EXCEPT: every one of MEMBERS serves, but those of EXCEPT need not (FQDNs, blanks between).
gate_etcd() {
    local members except fqdn sick=()
    look_at_etcd || return 1
    read -r -a members <<<"$1"
    read -r -a except <<<"$2"
    for fqdn in "${members[@]}"; do
        if member_of "${fqdn%%.*}" "${HEALTHY[@]}" || member_of "$fqdn" "${except[@]}"; then continue; fi
        sick+=("$fqdn")
    done
    GOOD="${#HEALTHY[@]} of $VOTERS members of etcd serve"
    WHY="${#HEALTHY[@]} of $VOTERS members of etcd serve; not healthy: ${sick[*]}"
    [[ ${#sick[@]} -eq 0 && ${#HEALTHY[@]} -gt $((VOTERS / 2)) ]]
}
# quorum_without HOST...: is there a majority without these?
quorum_without() {
    local name fqdn rest=0 out
    look_at_etcd || return 1
    for name in "${HEALTHY[@]}"; do
        out=''
        for fqdn in "$@"; do if [[ ${fqdn%%.*} == "$name" ]]; then out=yes; fi; done
        if [[ -z $out ]]; then rest=$((rest + 1)); fi
    done
    WHY="$rest of $VOTERS members of etcd would serve meanwhile, $((VOTERS / 2 + 1)) are needed"
    [[ $rest -gt $((VOTERS / 2)) ]]
}

# ---- the API ----

gate_api() {
    local endpoint host
    endpoint=$(field endpoint)
    host=$(host_of "$endpoint")
    cluster_ca
    checks "$host" "$WORK/ca.crt"
    GOOD="the API at $endpoint is ready"
    WHY="$endpoint does not answer /readyz with ok"
    ask "$host" "$(port_of "$endpoint")" /readyz "${TLS[@]}"
    says_ok
}
# A server's certificate through the VIP, whether the server is ready or not.
tls_through_vip() {
    local endpoint host code=0
    endpoint=$(field endpoint)
    host=$(host_of "$endpoint")
    cluster_ca
    checks "$host" "$WORK/ca.crt"
    GOOD="TLS through $endpoint"
    WHY="no TLS through $endpoint, by the cluster's CA"
    timeout 10 openssl s_client -connect "$endpoint" "${TLS[@]}" </dev/null >/dev/null 2>&1 || code=$?
    # 1: no such TLS; 124: nobody answers
    case $code in 0) ;; 1 | 124) return 1 ;; *) finish 1 "openssl s_client ended with $code" ;; esac
}
# Once is enough before a step. After one it must hold for some seconds: the balancer that a step touched takes part again
# only when its checks have passed twice, a second apart, and its peer may be next.
gate_vip() {
    local n
    for ((n = 1; n <= $1; n++)); do
        tls_through_vip || return 1
        if [[ $n -lt $1 ]]; then sleep 1 || finish 1; fi
    done
}
gate_apiserver() {
    local fqdn address port line
    cluster_ca
    for fqdn in "$@"; do
        bundle_file "$fqdn" MANIFEST.json
        address=$(MANIFEST=$WORK/file own_address)
        bundle_file "$fqdn" root/etc/kubernetes/kubeadm.yaml
        port=''
        while IFS= read -r line; do
            if [[ -z $port && $line =~ ^\ *bindPort:\ *([0-9]+) ]]; then port=${BASH_REMATCH[1]}; fi
        done <"$WORK/file"
        WHY="the API server of $fqdn does not answer /readyz with ok"
        checks "$address" "$WORK/ca.crt"
        ask "$address" "${port:-6443}" /readyz "${TLS[@]}"
        says_ok || return 1
    done
    GOOD="the API servers of the step are ready"
}
kube() { kubectl --kubeconfig="$HERE/admin.conf" --request-timeout=10s "$@" </dev/null; }
gate_node() {
    local node said code
    for node in "$@"; do
        WHY="node $node is not Ready"
        code=0
        said=$(kube get node "$node" -o 'jsonpath={.status.conditions[?(@.type=="Ready")].status}' 2>/dev/null) || code=$?
        if [[ $code -gt 1 ]]; then finish 1 "kubectl ended with $code"; fi
        [[ $said == True ]] || return 1
    done
    GOOD="the nodes of the step are Ready"
}
# ---- end of gates ----

# ---- gates: what a rollout asks of the cluster between two steps ----
# A gate answers 0 (it holds; GOOD says what was seen), 1 (not, or not yet; WHY says why) or 4 (waiting will not help).
# Everything has a limit: one question takes ten seconds at most.
GOOD=''
WHY=''
TLS=()
WORK=''             # a folder of this run
FROM=$HERE/..       # where the hosts' tarballs are
INCOMING=/var/lib/khagen/incoming

# bundle_file FQDN PATH: a file of the host's bundle as it lies here.
bundle_file() { tar -xzOf "$FROM/$1.tar.gz" "$1/$2" 2>/dev/null; }
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
# The cluster's CA, as the administrator's kubeconfig has it.
cluster_ca() {
    if [[ ! -s $WORK/ca.crt ]]; then
        sed -n 's/^ *certificate-authority-data: *//p' "$HERE/admin.conf" | head -n 1 | base64 -d >"$WORK/ca.crt"
    fi
    printf '%s' "$WORK/ca.crt"
}

# ---- etcd ----

as_operator() { TLS+=(-cert "$HERE/etcd/operator.crt" -key "$HERE/etcd/operator.key"); }
# The members as etcd itself lists them; whoever answers first. "linearizable" wants a majority.
member_list() {
    local url host answer
    while read -r url; do
        host=$(host_of "${url#https://}")
        checks "$host" "$HERE/etcd/ca.crt"
        as_operator
        answer=$(https_post "$host" "$(port_of "$url")" /v3/cluster/member/list '{"linearizable":true}' "${TLS[@]}")
        if [[ $answer == *'"members":['* ]]; then
            printf '%s\n' "$answer" | tr '{' '\n' | grep -e '"peerURLs"'
            return 0
        fi
    done < <(tr -s '[:space:],' '\n' <"$HERE/etcd/endpoints")
    return 1
}
healthy_at() {
    local host
    host=$(host_of "${1#https://}")
    checks "$host" "$HERE/etcd/ca.crt"
    as_operator
    [[ $(https_get "$host" "$(port_of "$1")" /health "${TLS[@]}") == *'"health":"true"'* ]]
}
VOTERS=0
HEALTHY=()      # short names
# look_at_etcd: who votes, and who answers that it serves.
look_at_etcd() {
    local members line name url
    VOTERS=0
    HEALTHY=()
    if ! members=$(member_list); then
        WHY="etcd does not say who its members are: no majority serves, or none is reached from here"
        return 1
    fi
    while IFS= read -r line; do
        if [[ $line != *'"isLearner":true'* ]]; then VOTERS=$((VOTERS + 1)); fi
        name=$(sed -n 's/.*"name":"\([^"]*\)".*/\1/p' <<<"$line")
        url=$(sed -n 's/.*"clientURLs":\["\([^"]*\)".*/\1/p' <<<"$line")
        # one that has never started has neither
        if [[ -n $name && -n $url && $line != *'"isLearner":true'* ]] && healthy_at "$url"; then HEALTHY+=("$name"); fi
    done <<<"$members"
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
    checks "$host" "$(cluster_ca)"
    GOOD="the API at $endpoint is ready"
    WHY="$endpoint does not answer /readyz with ok"
    https_get "$host" "$(port_of "$endpoint")" /readyz "${TLS[@]}" | grep -e '^ok' >/dev/null
}
# A server's certificate through the VIP, whether the server is ready or not.
tls_through_vip() {
    local endpoint host
    endpoint=$(field endpoint)
    host=$(host_of "$endpoint")
    checks "$host" "$(cluster_ca)"
    GOOD="TLS through $endpoint"
    WHY="no TLS through $endpoint, by the cluster's CA"
    timeout 10 openssl s_client -connect "$endpoint" "${TLS[@]}" </dev/null >/dev/null 2>&1
}
# Once is enough before a step. After one it must hold for some seconds: the balancer that a step touched takes part again
# only when its checks have passed twice, a second apart, and its peer may be next.
gate_vip() {
    local n
    for ((n = 1; n <= $1; n++)); do
        tls_through_vip || return 1
        if [[ $n -lt $1 ]]; then sleep 1; fi
    done
}
gate_apiserver() {
    local fqdn address port
    for fqdn in "$@"; do
        address=$(bundle_value "$fqdn" addresses)
        port=$(bundle_file "$fqdn" root/etc/kubernetes/kubeadm.yaml | sed -n 's/^ *bindPort: *//p' | head -n 1)
        WHY="the API server of $fqdn does not answer /readyz with ok"
        checks "$address" "$(cluster_ca)"
        https_get "$address" "${port:-6443}" /readyz "${TLS[@]}" | grep -e '^ok' >/dev/null || return 1
    done
    GOOD="the API servers of the step are ready"
}
# bundle_value FQDN LIST: the first of a list in the host's manifest.
bundle_value() {
    bundle_file "$1" MANIFEST.json >"$WORK/manifest" || return 1
    MANIFEST=$WORK/manifest list "$2" | head -n 1
}
kube() { kubectl --kubeconfig="$HERE/admin.conf" --request-timeout=10s "$@" </dev/null; }
gate_node() {
    local node
    for node in "$@"; do
        WHY="node $node is not Ready"
        [[ $(kube get node "$node" -o 'jsonpath={.status.conditions[?(@.type=="Ready")].status}' 2>/dev/null || :) == True ]] || return 1
    done
    GOOD="the nodes of the step are Ready"
}
# ---- end of gates ----

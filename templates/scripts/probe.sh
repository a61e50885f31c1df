# ---- probe: questions to the network that need bash and openssl only ----
host_of() { local host=${1%:*}; host=${host#[}; printf '%s' "${host%]}"; }
port_of() { printf '%s' "${1##*:}"; }

# connects HOST PORT: 0 accepted, 1 refused, 2 no answer in time (a balancer or route is missing).
connects() {
    local said
    if said=$(timeout 5 "$BASH" -c "exec 3<>\"/dev/tcp/\$1/\$2\"" connect "$1" "$2" 2>&1); then return 0; fi
    if [[ $said == *refused* ]]; then return 1; fi
    return 2
}

# https_get HOST PORT PATH [OPENSSL-OPTION...]: the whole answer, or nothing.
https_get() {
    local host=$1
    if [[ $host == *:* ]]; then host="[$host]"; fi
    printf 'GET %s HTTP/1.0\r\nHost: %s\r\n\r\n' "$3" "$host" |
        timeout 10 openssl s_client -quiet -connect "$host:$2" "${@:4}" 2>/dev/null || :
}
# https_post HOST PORT PATH BODY [OPENSSL-OPTION...]
https_post() {
    local host=$1
    if [[ $host == *:* ]]; then host="[$host]"; fi
    printf 'POST %s HTTP/1.0\r\nHost: %s\r\nContent-Type: application/json\r\nContent-Length: %s\r\n\r\n%s' \
        "$3" "$host" "${#4}" "$4" | timeout 10 openssl s_client -quiet -connect "$host:$2" "${@:5}" 2>/dev/null || :
}

# env_value KEY [FILE]: a value of /etc/etcd/etcd.env.
env_value() { sed -n -e "s/^$1=//p" -- "${2:-/etc/etcd/etcd.env}" | sed -e 's/^"\(.*\)"$/\1/' | tail -n 1; }
# etcd_client ENDPOINTS ARGUMENT...: etcdctl as this member's own client.
etcd_client() {
    "$(tool etcdctl)" --endpoints="$1" --dial-timeout=2s --cacert=/etc/etcd/pki/etcd-ca.crt \
        --cert=/etc/etcd/pki/etcd-health-client.crt --key=/etc/etcd/pki/etcd-health-client.key "${@:2}"
}
local_client_url() { local urls; urls=$(env_value ETCD_ADVERTISE_CLIENT_URLS); printf '%s' "${urls%%,*}"; }
own_address() { list addresses | head -n 1; }
# api_port: the port of this control plane's own API server.
api_port() {
    local port
    port=$(sed -n 's/^ *bindPort: *//p' /etc/kubernetes/kubeadm.yaml 2>/dev/null | head -n 1 || :)
    printf '%s' "${port:-6443}"
}
# ---- end of probe ----

# ---- probe: questions to the network that need bash and openssl only ----
host_of() { local host=${1%:*}; host=${host#[}; printf '%s' "${host%]}"; }
port_of() { printf '%s' "${1##*:}"; }

# connects HOST PORT: 0 accepted, 1 refused, 2 no answer in time (a balancer or route is missing).
connects() {
    local said code=0
    said=$(timeout 5 "$BASH" -c "exec 3<>\"/dev/tcp/\$1/\$2\"" connect "$1" "$2" 2>&1) || code=$?
    case $code in
        0) return 0 ;;
        1) if [[ $said == *refused* ]]; then return 1; fi ;;
        124) ;;
        *) finish 1 "timeout ended with $code" ;;
    esac
    return 2
}
# resolve NAME: sets ADDRESS, to nothing if the name has none (which getent says with 2).
resolve() {
    local code=0
    ADDRESS=$(getent ahosts "$1") || code=$?
    if [[ $code -ne 0 && $code -ne 2 ]]; then finish 1 "getent ended with $code"; fi
    ADDRESS=${ADDRESS%%[[:space:]]*}
}
# is_ours ADDRESS: is it on an interface of this host?
is_ours() {
    local own
    own=$(ip -o addr show | awk '{ sub(/\/.*/, "", $4); print $4 }') || finish 1
    [[ $'\n'$own$'\n' == *$'\n'"$1"$'\n'* ]]
}

# ask HOST PORT PATH [OPENSSL-OPTION...], ask_post HOST PORT PATH BODY [...]: sets ANSWER, to nothing if there is none. What
# openssl cannot do (1) and what takes too long (124) are no answer; any other end of it is an error.
ask() {
    local code=0 host=$1
    if [[ $host == *:* ]]; then host="[$host]"; fi
    ANSWER=$(printf 'GET %s HTTP/1.0\r\nHost: %s\r\n\r\n' "$3" "$host" |
        timeout 10 openssl s_client -quiet -connect "$host:$2" "${@:4}" 2>/dev/null | tr -d '\r\0') || code=$?
    case $code in 0 | 1 | 124 | 141) ;; *) finish 1 "openssl s_client ended with $code" ;; esac
}
ask_post() {
    local code=0 host=$1
    if [[ $host == *:* ]]; then host="[$host]"; fi
    ANSWER=$(printf 'POST %s HTTP/1.0\r\nHost: %s\r\nContent-Type: application/json\r\nContent-Length: %s\r\n\r\n%s' \
        "$3" "$host" "${#4}" "$4" | timeout 10 openssl s_client -quiet -connect "$host:$2" "${@:5}" 2>/dev/null | tr -d '\r\0') || code=$?
    case $code in 0 | 1 | 124 | 141) ;; *) finish 1 "openssl s_client ended with $code" ;; esac
}
# says_ok: has ANSWER a line "ok", as /readyz says it?
says_ok() { [[ $'\n'$ANSWER == *$'\nok'* ]]; }

# env_value KEY [FILE]: a value of /etc/etcd/etcd.env.
env_value() { sed -n -e "s/^$1=//p" -- "${2:-/etc/etcd/etcd.env}" | sed -e 's/^"\(.*\)"$/\1/' | tail -n 1; }
# etcd_client ENDPOINTS ARGUMENT...: etcdctl as this member's own client.
etcd_client() {
    local program pki=${ETCD_PKI:-/etc/etcd/pki}
    program=$(tool etcdctl)
    "$program" --endpoints="$1" --dial-timeout=2s --cacert="$pki/etcd-ca.crt" \
        --cert="$pki/etcd-health-client.crt" --key="$pki/etcd-health-client.key" "${@:2}"
}
# etcd_healthy_at URL: is that member healthy? 1 is etcdctl's no; any other end of it is an error.
etcd_healthy_at() {
    local code=0
    etcd_client "$1" endpoint health >/dev/null 2>&1 || code=$?
    if [[ $code -gt 1 ]]; then finish 1 "etcdctl ended with $code"; fi
    return "$code"
}
local_client_url() { local urls; urls=$(env_value ETCD_ADVERTISE_CLIENT_URLS); printf '%s' "${urls%%,*}"; }
own_address() { local all; all=$(list addresses); printf '%s' "${all%%$'\n'*}"; }
# api_port: the port of this control plane's own API server.
api_port() {
    local line port=''
    if [[ -f /etc/kubernetes/kubeadm.yaml ]]; then
        while IFS= read -r line; do
            if [[ -z $port && $line =~ ^\ *bindPort:\ *([0-9]+) ]]; then port=${BASH_REMATCH[1]}; fi
        done </etc/kubernetes/kubeadm.yaml
    fi
    printf '%s' "${port:-6443}"
}
# ---- end of probe ----

#!/bin/bash
# balancer.sh BUNDLES: real nginx and keepalived from the bundles of two balancers, and stand-in API servers with the bundles'
# certificates, in network namespaces with the inventory's addresses. Measures how long the VIP is gone.
#
# ROUNDS is how often each failure is made (default 1).
# BUNDLES holds the unpacked bundles of the repository's inventory. Needs root. Prints "N passed, N failed".
set -euo pipefail
HERE=$(dirname -- "$(readlink -f -- "$0")")
BUNDLES=$(readlink -f -- "$1")
BOX=$(mktemp -d)
chmod 0755 "$BOX"
# shellcheck source=net.sh
source "$HERE/net.sh"
tear_down() {
    local code=$?
    net_down
    if [[ -n ${KEEP-} ]]; then say "kept $BOX"; else rm -rf -- "$BOX"; fi
    exit "$code"
}
trap tear_down EXIT

D=isociel.com
VIP=192.168.13.70
PORT=6443
declare -A ADDRESS=(
    ["k8svrrp1.$D"]=192.168.13.71 ["k8svrrp2.$D"]=192.168.13.72
    ["k8smaster1.$D"]=192.168.13.61 ["k8smaster2.$D"]=192.168.13.62 ["k8smaster3.$D"]=192.168.13.63
)
BALANCERS=("k8svrrp1.$D" "k8svrrp2.$D")
MASTERS=("k8smaster1.$D" "k8smaster2.$D" "k8smaster3.$D")

# ---- nginx and keepalived as their units run them (systemd is not PID 1 here) ----

# Commands of a setting of nginx.service's drop-in.
dropin() { sed -n "s/^$2=//p" "$BOX/$1/etc/systemd/system/nginx.service.d/khagen.conf"; }
run_dropin() {
    local line
    while IFS= read -r line; do if [[ -n $line ]]; then inside "$1" sh -c "$line"; fi; done < <(dropin "$1" "$2")
}
nginx_start() {
    run_dropin "$1" ExecStartPre
    inside "$1" nginx -g 'daemon on; master_process on;'
    run_dropin "$1" ExecStartPost
}
# `ExecStop=` empty means that systemd signals; without it Debian's unit asks for a graceful stop of 5 s, then kills.
nginx_stop() {
    local pid
    pid=$(<"$BOX/$1/run/nginx.pid")
    if grep -q '^ExecStop=$' "$BOX/$1/etc/systemd/system/nginx.service.d/khagen.conf"; then
        kill -TERM "$pid" 2>/dev/null || :
    else
        kill -QUIT "$pid" 2>/dev/null || :
    fi
    until_true 5 gone "$pid" || kill -KILL "$pid"
    run_dropin "$1" ExecStopPost
}
# Nobody here reaps at once; systemd does.
gone() { [[ ! -d /proc/$1 || $(sed 's/.*) //' "/proc/$1/stat" 2>/dev/null) == Z* ]]; }
nginx_pids() { local pid; for pid in $(processes_of "$1"); do if [[ $(<"/proc/$pid/comm") == nginx ]]; then echo "$pid"; fi; done 2>/dev/null; }
keepalived_start() { inside "$1" keepalived --dont-fork --log-console --log-detail -f /etc/keepalived/keepalived.conf >>"$BOX/$1/keepalived.log" 2>&1 & }
keepalived_stop() { kill -TERM "$(<"$BOX/$1/run/keepalived.pid")"; until_true 5 keepalived_gone "$1"; }
keepalived_gone() { [[ ! -e $BOX/$1/run/keepalived.pid ]]; }

holds() { inside "$1" ip -o addr show | grep -F -e " $VIP/" >/dev/null; }
holders() { local b; for b in "${BALANCERS[@]}"; do if [[ -n ${KEEPER[$b]-} ]] && holds "$b"; then printf '%s ' "$b"; fi; done; }
one_holder() { local h; read -r -a h <<<"$(holders)"; [[ ${#h[@]} -eq 1 ]]; }
holder() { local h; read -r h _ <<<"$(holders)"; printf '%s' "$h"; }
other() { if [[ $1 == "${BALANCERS[0]}" ]]; then echo "${BALANCERS[1]}"; else echo "${BALANCERS[0]}"; fi; }
# Lines of the log since a mark.
mark() { wc -l <"$BOX/$1/keepalived.log"; }
moved_since() { tail -n "+$(($2 + 1))" "$BOX/$1/keepalived.log" | grep -E -e 'Entering (MASTER|FAULT|BACKUP) STATE' >/dev/null; }
quiet() {
    marks=("$(mark "${BALANCERS[0]}")" "$(mark "${BALANCERS[1]}")")
}
still() { ! moved_since "${BALANCERS[0]}" "${marks[0]}" && ! moved_since "${BALANCERS[1]}" "${marks[1]}"; }
faulty() { grep -E -e 'Entering [A-Z]+ STATE' "$BOX/$1/keepalived.log" | tail -n 1 | grep -e FAULT >/dev/null; }
not_faulty() { ! faulty "$1"; }
settle() { until_true 15 one_holder && until_true 10 not_faulty "${BALANCERS[0]}" && until_true 10 not_faulty "${BALANCERS[1]}"; }

# ---- stand-in API servers: nginx with the bundle's certificate ----

api_conf() {
    cat <<END
pid /run/api.pid;
error_log /run/api.error;
events {}
http {
    access_log off;
    client_body_temp_path /run/b; proxy_temp_path /run/p; fastcgi_temp_path /run/f; uwsgi_temp_path /run/u; scgi_temp_path /run/s;
    server {
        listen $PORT ssl;
        ssl_certificate /etc/kubernetes/pki/apiserver.crt;
        ssl_certificate_key /etc/kubernetes/pki/apiserver.key;
        keepalive_timeout 3600;
        location / { return 200 "$1\n"; }
    }
}
END
}
api_start() { inside "$1" nginx -c /etc/api.conf -e /run/api.error; }
api_stop() { inside "$1" nginx -c /etc/api.conf -e /run/api.error -s stop; }
ask() {
    inside client curl --silent --max-time "${1:-5}" --cacert "$BUNDLES/${MASTERS[0]}/root/etc/kubernetes/pki/ca.crt" \
        --resolve "k8sapi.$D:$PORT:$VIP" "https://k8sapi.$D:$PORT/"
}
answered() { [[ $(ask 2) == k8smaster* ]]; }

# gap SECONDS COMMAND...: probes the VIP while the command runs 1 s later; leaves the line in SAID and the gap in GAP.
gap() {
    local seconds=$1
    shift
    inside client perl "$HERE/probe.pl" "$VIP" "$PORT" "$seconds" >"$BOX/probe" &
    local probe=$!
    sleep 1
    "$@"
    wait "$probe"
    SAID=$(<"$BOX/probe")
    GAP=${SAID##* }
}
# gap_below WHAT LIMIT
gap_below() {
    if [[ $GAP -lt $2 ]]; then pass "$1: gap $GAP ms, less than $2 ($SAID)"; else fail "$1: gap $GAP ms, not less than $2 ($SAID)"; fi
}

# ---- the hosts ----

net_up
host_up client ens33 192.168.13.10/24
for m in "${MASTERS[@]}"; do
    host_up "$m" ens33 "${ADDRESS[$m]}/24"
    api_conf "$m" >"$BOX/$m/etc/api.conf"
done
for b in "${BALANCERS[@]}"; do
    host_up "$b" ens33 "${ADDRESS[$b]}/24"
    # The sysctls of the bundle that concern a network namespace.
    check "$b: sysctl takes its settings" inside "$b" sysctl -q -p /etc/sysctl.d/90-khagen-balancer.conf
    check "$b: nginx accepts its configuration" inside "$b" nginx -t -q
    # keepalived 2.2.7 ends itself in a test of scripts that run unprivileged, unless its parent is out of sight.
    check "$b: keepalived accepts its configuration" inside "$b" unshare --pid --fork keepalived -t -f /etc/keepalived/keepalived.conf
done

# ---- no control plane lives ----

for b in "${BALANCERS[@]}"; do check "$b: nginx starts while no control plane lives" nginx_start "$b"; done
for b in "${BALANCERS[@]}"; do keepalived_start "$b"; done
check "one balancer holds the VIP while no control plane lives" settle
first=$(holder)
quiet
sleep 20
check "20 s with no control plane: the VIP stayed at ${first%%.*}" test "$(holders)" = "$first "
check "20 s with no control plane: no balancer changed its state" still

# What the checks of quiet rest on: keepalived's log tells of states.
check "keepalived's log tells who is MASTER" grep -q -e 'Entering MASTER STATE' "$BOX/$first/keepalived.log"

# ---- they come ----

for m in "${MASTERS[@]}"; do api_start "$m"; done
began=$(now_ms)
check "TLS through the VIP, verified against the cluster's CA" until_true 10 answered
say "        answered $(($(now_ms) - began)) ms after the first API server started"
seen=$(for _ in 1 2 3 4 5 6 7 8 9; do ask; done | sort -u | wc -l)
check "all three control planes are used ($seen)" test "$seen" -eq 3


quiet
gap 6 api_stop "${MASTERS[1]}"
gap_below "an API server stops" 100
check "an API server stops: no balancer changed its state" still
api_start "${MASTERS[1]}"
sleep 1
quiet
gap 14 cable "${MASTERS[2]}" down
say "        a control plane's cable is pulled: $SAID"
check "a control plane's cable is pulled: no balancer changed its state" still
cable "${MASTERS[2]}" up
sleep 6

quiet
for m in "${MASTERS[@]}"; do api_stop "$m"; done
sleep 20
check "every API server stops: no balancer changed its state in 20 s" still
for m in "${MASTERS[@]}"; do api_start "$m"; done
check "every API server is back: answered again" until_true 10 answered
sleep 3
check "every API server is back: no balancer changed its state" still

# ---- an API server boots: it takes connections before it answers, and the others hold the long ones ----

open_stream() { inside client sh -c "sleep 600 | openssl s_client -connect $VIP:$PORT -quiet" >/dev/null 2>&1 & sleep 0.3; }
api_stop "${MASTERS[0]}"
for _ in 1 2 3 4; do open_stream; done
api_start "${MASTERS[0]}"
mapfile -t frozen < <(nginx_pids "${MASTERS[0]}")
kill -STOP "${frozen[@]}"
sleep 6
answered=0
for _ in 1 2 3 4 5 6 7 8 9; do if [[ $(ask 1) == k8smaster* ]]; then answered=$((answered + 1)); fi; done
kill -CONT "${frozen[@]}"
check "an API server that does not answer yet does not draw all new connections ($answered of 9 answered)" test "$answered" -ge 5
for pid in $(processes_of client); do kill "$pid" 2>/dev/null || :; done
settle || fail "an API server boots: not settled"

# ---- the balancers fail; an open stream must not delay anything ----

for round in $(seq "${ROUNDS:-1}"); do
    h=$(holder)
    open_stream
    gap 8 nginx_stop "$h"
    gap_below "round $round, nginx stopped on ${h%%.*}" 1000
    check "round $round, nginx stopped: one holder, the other one" test "$(holders)" = "$(other "$h") "
    nginx_start "$h"
    sleep 4
    check "round $round, nginx is back: nothing moves" test "$(holders)" = "$(other "$h") "
    settle || fail "round $round: not settled"

    h=$(holder)
    mapfile -t pids < <(nginx_pids "$h")
    gap 9 kill -KILL "${pids[@]}"
    say "        nginx killed without its unit noticing: gap $GAP ms"
    run_dropin "$h" ExecStopPost
    nginx_start "$h"
    sleep 4
    settle || fail "round $round: not settled"

    h=$(holder)
    mapfile -t pids < <(nginx_pids "$h")
    gap 9 kill -STOP "${pids[@]}"
    gap_below "round $round, nginx hung on ${h%%.*}" 4000
    kill -CONT "${pids[@]}"
    sleep 4
    settle || fail "round $round: not settled"

    h=$(holder)
    gap 6 keepalived_stop "$h"
    gap_below "round $round, keepalived stopped on ${h%%.*}" 1000
    keepalived_start "$h"
    sleep 5
    check "round $round, keepalived is back: nothing moves" test "$(holders)" = "$(other "$h") "
    settle || fail "round $round: not settled"

    h=$(holder)
    gap 8 cable "$h" down
    gap_below "round $round, the cable of ${h%%.*} is pulled" 4000
    cable "$h" up
    sleep 1.5
    check "round $round, the cable is back: one holder after an advert" one_holder
    sleep 4
    settle || fail "round $round: not settled"

    h=$(holder)
    power_cut() { cable "$1" down; signal_all KILL "$1"; }
    gap 8 power_cut "$h"
    gap_below "round $round, ${h%%.*} loses power" 4000
    inside "$h" ip addr del "$VIP/24" dev ens33 2>/dev/null || :
    rm -f "$BOX/$h/run/"*.pid "$BOX/$h/run/keepalived/"*.pid
    cable "$h" up
    nginx_start "$h"
    keepalived_start "$h"
    sleep 6
    check "round $round, ${h%%.*} is back: nothing moves" test "$(holders)" = "$(other "$h") "
    settle || fail "round $round: not settled"
done

# ---- one balancer alone does not reach the control planes ----

h=$(holder)
for m in "${MASTERS[@]}"; do inside "$h" ip route add blackhole "${ADDRESS[$m]}/32"; done
check "the holder alone reaches no control plane: the VIP leaves it" until_true 40 holds "$(other "$h")"
for m in "${MASTERS[@]}"; do inside "$h" ip route del blackhole "${ADDRESS[$m]}/32"; done
settled_at() { until_true 40 settle && [[ $(holder) == "$1" ]]; }
check "it reaches them again: no balancer is at fault, nothing moves" settled_at "$(other "$h")"

nginx_stop "${BALANCERS[0]}"
nginx_stop "${BALANCERS[1]}"
sleep 1
check "nginx stopped everywhere: nobody holds the VIP" test -z "$(holders)"
nginx_start "${BALANCERS[0]}"
check "one nginx is back: its balancer takes the VIP" until_true 8 holds "${BALANCERS[0]}"
if grep -h -i -e 'unsafe' -e 'disabling' -e 'unknown' -e 'error' "$BOX"/k8svrrp*/keepalived.log >"$BOX/odd"; then
    fail "keepalived complains: $(head -n 3 "$BOX/odd")"
else
    pass "keepalived complains of nothing"
fi
summary

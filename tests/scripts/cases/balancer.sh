# shellcheck shell=bash
# What keepalived runs, as khagen emits it ($KHAGEN_EMITTED), with real nginx and keepalived.

# serve NAME STREAM-CONFIGURATION: an nginx of its own; its master's process is in $BOX/NAME/pid.
serve() {
    local end=$((SECONDS + 60))
    mkdir -p "$BOX/$1"
    printf 'pid %s/pid; error_log %s/error.log; daemon on; user root; worker_processes 1;\ninclude /etc/nginx/modules-enabled/*.conf;\nevents {}\nstream { %s }\n' \
        "$BOX/$1" "$BOX/$1" "$2" >"$BOX/$1/nginx.conf"
    nginx -c "$BOX/$1/nginx.conf" -e "$BOX/$1/error.log"
    until [[ -s $BOX/$1/pid ]]; do [[ $SECONDS -lt $end ]] || die "nginx $1"; sleep 0.05; done
}
# halted NAME STOP|CONT: all processes of that nginx, as when it hangs.
halted() { local pid; pid=$(<"$BOX/$1/pid"); pkill "-$2" -P "$pid"; kill "-$2" "$pid"; }
# gone_is NAME: it is killed, its workers too, which a master that lives would replace.
gone_is() {
    local pid pids end=$((SECONDS + 60))
    pid=$(<"$BOX/$1/pid")
    kill -STOP "$pid"
    pids=$(pgrep -P "$pid")
    # SC2086: a list of numbers
    kill -9 $pids "$pid"
    for pid in $pids "$pid"; do
        while [[ -e /proc/$pid ]]; do [[ $SECONDS -lt $end ]] || die "$1 stays"; sleep 0.05; done
    done
    rm "$BOX/$1/pid"
}

case_balancer_check_nginx() {
    local check
    for check in "$KHAGEN_EMITTED"/scripts/check-nginx.*; do
        code 64 "$check"; code 64 "$check" 192.168.13.35
        code 1 "$check" 192.168.13.35 6443
        serve alive 'server { listen 192.168.13.35:6443; return "alive\n"; } server { listen 192.168.13.35:6444; return "other\n"; }'
        code 0 "$check" 192.168.13.35 6443
        code 1 "$check" 192.168.13.35 6444      # somebody else's answer
        halted alive STOP
        code 1 "$check" 192.168.13.35 6443      # accepted by the kernel, answered by nobody
        halted alive CONT
        code 0 "$check" 192.168.13.35 6443
        gone_is alive
        code 1 "$check" 192.168.13.35 6443
    done
    [[ -f $check ]] || die "no check-nginx was emitted"
}

# This host is 192.168.13.35, a peer is 192.168.13.36, the API server is .37.
case_balancer_check_api() {
    local check
    ip addr add 192.168.13.36/32 dev lo; ip addr add 192.168.13.37/32 dev lo; ip addr add fd00::35/128 dev lo nodad
    certificate api "$BOX"
    api_up() { serve api "server { listen 192.168.13.37:6443 ssl; ssl_certificate $BOX/api.crt; ssl_certificate_key $BOX/api.key; return ok; }"; }
    for check in "$KHAGEN_EMITTED"/scripts/check-api.*; do
        code 64 "$check" 6443
        api_up
        serve own 'server { listen 192.168.13.35:6443; listen [fd00::35]:6443; proxy_pass 192.168.13.37:6443; proxy_connect_timeout 1s; }'
        serve peer 'server { listen 192.168.13.36:6443; proxy_pass 192.168.13.37:6443; proxy_connect_timeout 1s; }'
        code 0 "$check" 6443 192.168.13.35 192.168.13.36
        code 0 "$check" 6443 '[fd00::35]' 192.168.13.36
        code 0 "$check" 6443 192.168.13.35
        # every API server is down: all stay
        gone_is api
        code 0 "$check" 6443 192.168.13.35 192.168.13.36
        code 0 "$check" 6443 192.168.13.35
        # only this host does not reach it
        api_up
        gone_is own
        serve own 'server { listen 192.168.13.35:6443; listen [fd00::35]:6443; proxy_pass 192.168.13.37:1; proxy_connect_timeout 1s; }'
        code 1 "$check" 6443 192.168.13.35 192.168.13.36
        code 1 "$check" 6443 '[fd00::35]' 192.168.13.38 192.168.13.36
        code 0 "$check" 6443 192.168.13.35
        # hung here, served there
        halted own STOP
        code 1 "$check" 6443 192.168.13.35 192.168.13.36
        halted own CONT
        # nginx does not run here: away, whoever else is there
        gone_is own
        code 1 "$check" 6443 192.168.13.35
        gone_is peer; gone_is api
        code 1 "$check" 6443 '[fd00::35]' 192.168.13.36
    done
    [[ -f $check ]] || die "no check-api was emitted"
}

case_balancer_notify() {
    local notify
    printf '#!/bin/sh\necho "logger $*" >>%s/calls\n' "$BOX" >/usr/local/sbin/logger
    chmod 0755 /usr/local/sbin/logger
    for notify in "$KHAGEN_EMITTED"/scripts/notify.*; do
        : >"$BOX/calls"
        code 64 "$notify" INSTANCE api
        code 0 "$notify" INSTANCE api MASTER 100
        grep -F -x -e 'logger -t khagen-balancer -p daemon.notice -- INSTANCE api is now MASTER (priority 100)' "$BOX/calls"
        code 0 "$notify" INSTANCE api FAULT 100
        grep -F -e '-p daemon.warning -- INSTANCE api is now FAULT' "$BOX/calls"
        printf '#!/bin/sh\nexit 5\n' >/usr/local/sbin/logger
        code 1 "$notify" INSTANCE api BACKUP 100
    done
    [[ -f $notify ]] || die "no notify was emitted"
}

# awaited WORDS COMMAND...: no clock but a long one; what is asked for comes or it does not.
awaited() { local what=$1 end=$((SECONDS + 90)); shift; until "$@"; do [[ $SECONDS -lt $end ]] || { cat "$BOX/keepalived.log"; ip addr; die "waited in vain for $what"; }; sleep 0.2; done; }
holds() { ip -o addr show dev ens33 | grep -F ' 192.168.13.70/' >/dev/null; }
holds_not() { ! holds; }
said() { grep -F -e "$1" "$BOX/calls" >/dev/null; }
# A balancer's bundle as khagen emits it, installed, under the real keepalived, which runs the checks and notify itself.
case_balancer_under_keepalived() {
    mount -t tmpfs tmpfs /run
    ip addr del 192.168.13.35/32 dev lo
    ip link add ens33 type veth peer name other
    ip addr add 192.168.13.71/24 dev ens33
    ip addr add 192.168.13.61/24 dev other
    ip link set ens33 up; ip link set other up
    hostname k8svrrp1
    mkdir -p /var/log/nginx /var/cache/nginx
    code 0 "$KHAGEN_EMITTED/balancer/install.sh"
    code 0 "$KHAGEN_EMITTED/balancer/install.sh"; says 'nothing to do'
    printf '#!/bin/sh\necho "logger $*" >>%s/calls\n' "$BOX" >/usr/local/sbin/logger
    chmod 0755 /usr/local/sbin/logger "$WORK" "$BOX"
    chmod 0666 "$BOX/calls"
    nginx
    echo 0 >/run/khagen-balancer/nginx-down
    keepalived -n -l -f /etc/keepalived/keepalived.conf >"$BOX/keepalived.log" 2>&1 &
    awaited "the VIP" holds
    awaited "notify's word" said 'is now MASTER'
    # a hung nginx
    mkdir -p "$BOX/run"; cp /run/nginx.pid "$BOX/run/pid"
    halted run STOP
    awaited "the VIP to leave a hung nginx" holds_not
    awaited "notify's word" said 'is now FAULT'
    halted run CONT
    awaited "the VIP again" holds
    # a stopped one: its unit writes this
    : >"$BOX/calls"
    echo 1 >/run/khagen-balancer/nginx-down
    awaited "the VIP to leave" holds_not
    awaited "notify's word" said 'is now FAULT'
    grep -c . "$BOX/calls"
}

#!/bin/bash
# etcd.sh BUNDLES ETCD_BIN: three real etcd members from three bundles, in network namespaces with the inventory's addresses.
#
# BUNDLES holds the unpacked bundles of the repository's inventory, ETCD_BIN etcd, etcdctl and etcdutl. Needs root. Prints
# "N passed, N failed".
set -euo pipefail
HERE=$(dirname -- "$(readlink -f -- "$0")")
BUNDLES=$(readlink -f -- "$1")
ETCD_BIN=$(readlink -f -- "$2")
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
MEMBERS=("k8setcd1.$D" "k8setcd2.$D" "k8setcd3.$D")
declare -A ADDRESS=(["k8setcd1.$D"]=192.168.13.35 ["k8setcd2.$D"]=192.168.13.36 ["k8setcd3.$D"]=192.168.13.37)
MASTER=k8smaster1.$D
URLS=https://192.168.13.35:2379,https://192.168.13.36:2379,https://192.168.13.37:2379

# As etcd.service runs it: its user, its environment, what ExecStart says.
start() {
    local command
    command=$(sed -n 's/^ExecStart=//p' "$BOX/$1/etc/systemd/system/etcd.service")
    inside "$1" install -d -m 0700 -o etcd -g etcd /var/lib/etcd
    # shellcheck disable=SC2016 # it is the shell on the host that expands
    inside "$1" bash -c 'set -a; source /etc/etcd/etcd.env; set +a; umask 077
        exec env NOTIFY_SOCKET=/run/ready setpriv --reuid etcd --regid etcd --clear-groups "$1"' unit "$command" >>"$BOX/$1/etcd.log" 2>&1 &
}
# Listens where systemd would for "I am ready".
listen_for_ready() {
    inside "$1" perl -MSocket -e 'socket(my $s, AF_UNIX, SOCK_DGRAM, 0); bind($s, pack_sockaddr_un("/run/ready")); chmod 0666, "/run/ready";
        while (recv($s, my $said, 4096, 0) || 1) { if ($said =~ /READY=1/) { open my $f, ">", "/run/is-ready"; close $f; exit 0 } }' &
    until_true 5 test -S "$BOX/$1/run/ready"
}
ready() { [[ -e $BOX/$1/run/is-ready ]]; }
all_ready() { local m; for m in "${MEMBERS[@]}"; do ready "$m" || return 1; done; }
# The operator's client, from another host.
operator() {
    inside "$MASTER" "$ETCD_BIN/etcdctl" --endpoints="$URLS" --cacert="$BUNDLES/operator/etcd/ca.crt" --cert="$BUNDLES/operator/etcd/operator.crt" \
        --key="$BUNDLES/operator/etcd/operator.key" --command-timeout=5s "$@"
}
# A client of the control plane speaks to a member's port: what TLS says.
as_control_plane() {
    inside "$MASTER" curl --silent --show-error --max-time 5 --cacert "$1" --cert /etc/kubernetes/pki/apiserver-etcd-client.crt \
        --key /etc/kubernetes/pki/apiserver-etcd-client.key "$2" 2>&1
}

net_up
host_up "$MASTER" ens33 192.168.13.61/24
for m in "${MEMBERS[@]}"; do
    host_up "$m" ens33 "${ADDRESS[$m]}/24"
    cp "$ETCD_BIN"/etcd "$ETCD_BIN"/etcdctl "$ETCD_BIN"/etcdutl "$BOX/$m/bin/"
    listen_for_ready "$m"
done

start "${MEMBERS[0]}"
sleep 4
check "one member of three waits, and does not say that it is ready" eval '! ready "${MEMBERS[0]}" && [[ -n $(processes_of "${MEMBERS[0]}") ]]'
started=$(now_ms)
start "${MEMBERS[1]}"
start "${MEMBERS[2]}"
check "three members say that they are ready" until_true 30 all_ready
say "        $(($(now_ms) - started)) ms after the majority started"
check "the operator's client finds all three healthy" operator endpoint health
check "the cluster has three members, all voting" eval '[[ $(operator member list | grep -c "started.*false$") == 3 ]]'
check "the operator writes" operator put /khagen/judge "by the operator"
check "the operator reads" eval '[[ $(operator get --print-value-only /khagen/judge) == "by the operator" ]]'

# ---- who is let in ----

ca=$BUNDLES/operator/etcd/ca.crt
peer_ca=$BOX/${MEMBERS[0]}/etc/etcd/pki/etcd-peer-ca.crt
if [[ ! -f $peer_ca ]]; then peer_ca=$ca; fi
nobody() { inside "$MASTER" curl --silent --show-error --max-time 5 --cacert "$ca" https://192.168.13.35:2379/version 2>&1; }
# With TLS 1.3 a client learns late and in several ways that it is refused; etcd's log has the reason.
rejected() { grep -F -e "rejected connection on $1 endpoint" "$BOX/${MEMBERS[0]}/etcd.log" | grep -e "$2" >/dev/null; }
check "a client without a certificate gets no answer" eval '[[ $(nobody || :) != *etcdserver* ]]'
check "because it has none" rejected client "didn't provide a certificate"
check "a control plane is let in as a client" eval '[[ $(as_control_plane "$ca" https://192.168.13.35:2379/version) == *etcdserver* ]]'
check "a control plane's certificate gets no answer as a peer" eval '[[ $(as_control_plane "$peer_ca" https://192.168.13.35:2380/members || :) != *peerURLs* ]]'
check "because of its certificate" rejected peer "192.168.13.61.*\\(certificate signed by unknown authority\\|client certificate authentication failed\\)"
as_peer() {
    inside "${MEMBERS[1]}" curl --silent --http1.1 --max-time 5 --cacert "$peer_ca" --cert /etc/etcd/pki/k8setcd2-peer.crt --key /etc/etcd/pki/k8setcd2-peer.key \
        https://192.168.13.35:2380/members
}
check "a member is let in as a peer" eval '[[ $(as_peer) == *peerURLs* ]]'
check "TLS 1.2 is refused" eval '! inside "$MASTER" openssl s_client -tls1_2 -connect 192.168.13.35:2379 </dev/null >/dev/null 2>&1'

# ---- what is open to whom ----

check "health and metrics answer on the member itself" eval '[[ $(inside "${MEMBERS[0]}" curl --silent --max-time 5 http://127.0.0.1:2381/health) == *true* ]]'
check "health and metrics are not open to others" eval '! inside "$MASTER" curl --silent --max-time 2 http://192.168.13.35:2381/health'
check "etcdctl works on the member through loopback" inside "${MEMBERS[2]}" etcdctl --endpoints=https://127.0.0.1:2379 --cacert=/etc/etcd/pki/etcd-ca.crt \
    --cert=/etc/etcd/pki/etcd-health-client.crt --key=/etc/etcd/pki/etcd-health-client.key endpoint health

# ---- snapshots, as the timer's service runs them ----

snapshots=$(sed -n 's/^SNAPSHOT_DIR=//p' "$BOX/${MEMBERS[0]}/etc/etcd/snapshot.env")
check "a snapshot is taken by etcd's user" inside "${MEMBERS[0]}" setpriv --reuid etcd --regid etcd --clear-groups /usr/local/sbin/khagen-etcd-snapshot
check "the snapshot is there, for its owner only" eval '[[ $(inside "${MEMBERS[0]}" find "$snapshots" -name "*.db" -printf "%m %u\n") == "600 etcd" ]]'

# ---- a member dies and comes back ----

signal_all KILL "${MEMBERS[1]}"
# (The one that died may have led: the first request then ends with the election, not with an answer.)
check "two of three serve" until_true 20 operator --command-timeout=2s put /khagen/judge "by two"
rm -f "$BOX/${MEMBERS[1]}/run/is-ready" "$BOX/${MEMBERS[1]}/run/ready"
listen_for_ready "${MEMBERS[1]}"
start "${MEMBERS[1]}"
check "the third comes back with its data" until_true 20 ready "${MEMBERS[1]}"

# (On a slow machine etcd 3.6 looks at its storage's version before its first term is on disk, and looks again later.)
if grep -h -e 'unrecognized environment' -e 'deprecated' -e '"level":"error"' -e '"level":"fatal"' "$BOX"/k8setcd*/etcd.log |
    grep -v -e 'failed to update storage version.*missing term information' >"$BOX/odd"; then
    fail "etcd complains: $(head -n 3 "$BOX/odd")"
else
    pass "etcd knows every setting and none is deprecated ($(cat "$BOX"/k8setcd*/etcd.log | wc -l) lines read)"
fi
summary

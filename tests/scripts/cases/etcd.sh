# shellcheck shell=bash
# Cases with real etcd members, on addresses of the loopback interface of this case's own namespace.

# pki DIR: one CA, one certificate for all members and peers, one client, under the paths of an etcd host.
pki() {
    mkdir -p "$1"
    cd "$1"
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=etcd-ca -days 40 -keyout ca.key -out etcd-ca.crt 2>/dev/null
    openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=k8setcd -keyout etcd-health-client.key -out csr 2>/dev/null
    openssl x509 -req -in csr -CA etcd-ca.crt -CAkey ca.key -CAcreateserial -days 39 -out etcd-health-client.crt 2>/dev/null \
        -extfile <(echo 'subjectAltName=DNS:localhost,IP:127.0.0.1,IP:192.168.13.35,IP:192.168.13.36,IP:192.168.13.37
extendedKeyUsage=serverAuth,clientAuth')
    cd - >/dev/null
}
# env_of N STATE CLUSTER: etcd.env of member N (address 192.168.13.3N).
env_of() {
    local ip=192.168.13.$((34 + $1)) pki=/etc/etcd/pki
    cat <<END
ETCD_NAME=m$1
ETCD_DATA_DIR=$BOX/data$1
ETCD_LISTEN_CLIENT_URLS=https://$ip:2379
ETCD_ADVERTISE_CLIENT_URLS=https://$ip:2379
ETCD_LISTEN_PEER_URLS=https://$ip:2380
ETCD_INITIAL_ADVERTISE_PEER_URLS=https://$ip:2380
ETCD_INITIAL_CLUSTER=$3
ETCD_INITIAL_CLUSTER_STATE=$2
ETCD_INITIAL_CLUSTER_TOKEN=first
ETCD_CERT_FILE=$pki/etcd-health-client.crt
ETCD_KEY_FILE=$pki/etcd-health-client.key
ETCD_TRUSTED_CA_FILE=$pki/etcd-ca.crt
ETCD_CLIENT_CERT_AUTH=true
ETCD_PEER_CERT_FILE=$pki/etcd-health-client.crt
ETCD_PEER_KEY_FILE=$pki/etcd-health-client.key
ETCD_PEER_TRUSTED_CA_FILE=$pki/etcd-ca.crt
ETCD_PEER_CLIENT_CERT_AUTH=true
END
}
CLUSTER2=m1=https://192.168.13.35:2380,m2=https://192.168.13.36:2380
CLUSTER3=$CLUSTER2,m3=https://192.168.13.37:2380
# other N STATE CLUSTER: a member that the test runs itself.
other() {
    env_of "$1" "$2" "$3" >"$BOX/env$1"
    (set -a; source "$BOX/env$1"; exec "$ETCD_BIN/etcd" >>"$BOX/log$1" 2>&1) &
    echo $! >"$BOX/pid$1"
}
ctl() {
    "$ETCD_BIN/etcdctl" --endpoints=https://192.168.13.35:2379 --cacert=/etc/etcd/pki/etcd-ca.crt \
        --cert=/etc/etcd/pki/etcd-health-client.crt --key=/etc/etcd/pki/etcd-health-client.key "$@"
}
until_healthy() { local n; for n in $(seq 60); do if ctl endpoint health >/dev/null 2>&1; then return 0; fi; sleep 0.25; done; tail "$BOX"/log* "$BOX"/etcd-real/log; die "etcd does not become healthy"; }

# etcd_host N STATE CLUSTER: this host is member N; installed from a bundle with the etcd role.
etcd_host() {
    ip addr add 192.168.13.36/32 dev lo
    ip addr add 192.168.13.37/32 dev lo
    if [[ ! -f $BOX/pki/etcd-ca.crt ]]; then pki "$BOX/pki"; fi
    mkdir -p "$BOX/etcd-real"
    bundle "$BOX/b" 1
    rm -r "$BOX/b/root"
    mkdir -p "$BOX/b/root/etc/etcd/pki"
    cp "$BOX"/pki/etcd-* "$BOX/b/root/etc/etcd/pki/"
    env_of "$1" "$2" "$3" >"$BOX/b/root/etc/etcd/etcd.env"
    printf 'SNAPSHOT_DIR=%s/snapshots\nSNAPSHOT_KEEP=2\nETCD_BIN_DIR=%s\n' "$BOX" "$ETCD_BIN" >"$BOX/b/root/etc/etcd/snapshot.env"
    ROLES='"etcd"' COMMANDS="\"$ETCD_BIN/etcdctl\",\"$ETCD_BIN/etcdutl\""
    DIRECTORIES='{"path": "/etc/etcd/pki", "mode": "0755", "owner": "root", "group": "root"}'
    EXTRA="\"etcdState\": \"$2\",
\"etcdEndpoints\": [\"https://192.168.13.35:2379\",\"https://192.168.13.36:2379\",\"https://192.168.13.37:2379\"],"
    UNITS='{"unit": "etcd.service", "enable": true, "start": true, "restartOn": ["/etc/etcd/"], "reloadOn": []}'
    seal "$BOX/b" 1
    sed -i 's/"khagendemo"/"root"/g' "$BOX/b/MANIFEST.json"
    (cd "$BOX/b" && find . -type f ! -name SHA256SUMS -printf '%P\0' | xargs -0 sha256sum >SHA256SUMS)
}

case_etcd_forms_snapshots_restores() {
    local revision before old
    etcd_host 1 new "$CLUSTER2"
    code 0 "$BOX/b/install.sh"
    code 6 "$BOX/b/verify.sh"; says 'waits for its peers'
    other 2 new "$CLUSTER2"
    code 0 "$BOX/b/up.sh"; says 'etcd is healthy'
    code 0 "$BOX/b/up.sh"
    code 0 "$BOX/b/verify.sh"; says 'etcd at https://192.168.13.35:2379 is healthy'
    ctl put /registry/a kept >/dev/null
    # snapshots: checked, renamed, the newest two kept, a half one is none
    mkdir -m 0700 "$BOX/snapshots"
    touch "$BOX/snapshots/m1-20200101T000000Z.db" "$BOX/snapshots/m1-20200102T000000Z.db" "$BOX/snapshots/m2-20190101T000000Z.db"
    code 0 "$BOX/scripts/etcd/khagen-etcd-snapshot"; says 'saved to'
    [[ $(ls "$BOX/snapshots" | wc -l) == 3 && ! -e $BOX/snapshots/m1-20200101T000000Z.db ]] || die retention
    [[ -f $BOX/snapshots/m2-20190101T000000Z.db ]] || die "somebody else's snapshot went"
    says 'restored on trial'
    [[ -z $(find "$BOX/snapshots" -name '.*') ]] || die "the trial stayed"
    old=$(ls -d "$BOX"/snapshots/m1-2*Z.db | tail -n 1)
    [[ $(stat -c %a "$old") == 600 ]] || die mode
    ctl put /registry/b lost >/dev/null
    before=$(ctl get /registry/b -w json | jq .header.revision)
    # restore, on both members; refused while etcd runs, without --yes, with the first token
    code 6 "$BOX/scripts/etcd/khagen-etcd-restore" "$old" --token again --yes; says 'still runs'
    systemctl stop etcd.service
    code 6 "$BOX/scripts/etcd/khagen-etcd-snapshot"; says 'not healthy'
    kill "$(<"$BOX/pid2")"; wait || :
    code 6 "$BOX/scripts/etcd/khagen-etcd-restore" "$old" --token again; says 'say --yes'
    code 64 "$BOX/scripts/etcd/khagen-etcd-restore" "$old" --token first --yes
    head -c 5000 "$old" >"$BOX/torn.db"
    code 4 "$BOX/scripts/etcd/khagen-etcd-restore" "$BOX/torn.db" --token again --yes
    code 2 "$BOX/scripts/etcd/khagen-etcd-restore" "$old" --token again --dry-run
    says "token again-$(sha256sum <"$old" | cut -c 1-16)"
    code 4 "$BOX/scripts/etcd/khagen-etcd-restore" "$old" --token again --sha256 "$(printf x | sha256sum | cut -c 1-64)" --yes; says 'another snapshot'
    code 0 "$BOX/scripts/etcd/khagen-etcd-restore" "$old" --token again --yes
    [[ -d $(echo "$BOX"/data1.before-*) ]] || die "the old data is gone"
    cp /etc/etcd/etcd.env "$BOX/env1"; cp "$BOX/env2" /etc/etcd/etcd.env
    code 0 "$BOX/scripts/etcd/khagen-etcd-restore" "$old" --token again --yes
    cp "$BOX/env1" /etc/etcd/etcd.env
    systemctl --no-block start etcd.service
    other 2 new "$CLUSTER2"
    until_healthy
    [[ $(ctl get /registry/a --print-value-only) == kept && -z $(ctl get /registry/b) ]] || die "not what was saved"
    revision=$(ctl get /registry/a -w json | jq .header.revision)
    [[ $revision -gt $((before + 900000000)) ]] || die "the revision went from $before to $revision"
    [[ $(ctl member list | wc -l) == 2 ]] || die "members"
}

case_etcd_waits_alone() {
    etcd_host 1 new "$CLUSTER3"
    code 0 "$BOX/b/install.sh"
    code 0 "$BOX/b/up.sh" --wait 1; says 'waits for its peers'
    # uninstalled, its data is kept aside
    code 2 "$BOX/b/uninstall.sh" --dry-run; says "^rename $BOX/data1 to"
    code 0 "$BOX/b/uninstall.sh" --yes
    [[ ! -e $BOX/data1 && -d $(echo "$BOX"/data1.uninstalled-*)/member ]] || die "the data is not kept"
}

case_etcd_member_is_added() {
    hostname k8setcd1
    etcd_host 3 existing "$CLUSTER3"
    code 0 "$BOX/b/install.sh"; says 'up.sh adds it first'
    [[ ! -d $BOX/data3 ]] || die "started before it was added"
    code 0 "$BOX/b/install.sh"; says 'nothing to do'
    code 6 "$BOX/b/verify.sh"
    code 6 "$BOX/b/up.sh" --wait 1; says 'must be healthy first'
    other 1 new "$CLUSTER2"; other 2 new "$CLUSTER2"
    until_healthy
    # somebody else's data is not taken for this member's
    mkdir -p "$BOX/data3/member"
    code 6 "$BOX/b/up.sh" --wait 5; says 'stale'
    code 6 "$BOX/b/install.sh" --dry-run; says 'stale'
    code 6 "$BOX/b/install.sh"; says 'knows no member with this peer URL'
    rmdir "$BOX/data3/member" "$BOX/data3"
    code 0 "$BOX/b/up.sh" --wait 60; says 'as a learner'; says 'healthy and votes'
    [[ $(ctl member list | grep -c 'started, m3.*false') == 1 ]] || die "$(ctl member list)"
    code 0 "$BOX/b/up.sh" --wait 20
    [[ $(ctl member list | wc -l) == 3 ]] || die "added twice"
    code 0 "$BOX/b/verify.sh"
    # its data is lost: the way out is named, nothing is started
    systemctl stop etcd.service
    mv "$BOX/data3" "$BOX/lost"
    code 6 "$BOX/b/up.sh" --wait 5; says 'khagen-etcd-replace m3 --yes'
    [[ ! -d $BOX/data3 ]] || die started
    # a bundle from before the cluster ran would found anew under the old name
    sed -e 's/"etcdState": "existing"/"etcdState": "new"/' -e 's/"generation": 1/"generation": 2/' -i "$BOX/b/MANIFEST.json"
    (cd "$BOX/b" && find . -type f ! -name SHA256SUMS -printf '%P\0' | xargs -0 sha256sum >SHA256SUMS)
    stamps >"$BOX/s1"
    code 6 "$BOX/b/install.sh" --dry-run; says 'must not start anew under the old name'
    code 6 "$BOX/b/install.sh"; says 'khagen-etcd-replace m3'
    sed -e 's/"etcdState": "new"/"etcdState": "existing"/' -e 's/"generation": 2/"generation": 1/' -i "$BOX/b/MANIFEST.json"
    (cd "$BOX/b" && find . -type f ! -name SHA256SUMS -printf '%P\0' | xargs -0 sha256sum >SHA256SUMS)
    # the lost one goes, another comes in its place: learner first, nothing of the old host is needed
    code 6 "$BOX/scripts/etcd/khagen-etcd-replace" m1 --yes; says 'm1 is not lost'
    code 6 "$BOX/scripts/etcd/khagen-etcd-replace" m3; says 'say --yes'
    code 2 "$BOX/scripts/etcd/khagen-etcd-replace" m3 --dry-run; says '^remove .*m3'; says '2 voting members, 2 of them healthy'
    [[ $(ctl member list | wc -l) == 3 ]] || die "a dry run removed"
    code 0 "$BOX/scripts/etcd/khagen-etcd-replace" m3 --yes; says 'm3 is off the list'
    code 0 "$BOX/scripts/etcd/khagen-etcd-replace" m3 --yes; says 'nothing to do'
    code 0 "$BOX/b/up.sh" --wait 60; says 'as a learner'; says 'healthy and votes'
    [[ $(ctl member list | grep -c 'started') == 3 ]] || die "$(ctl member list)"
    # while one is down none is taken in; which one to take out is the operator's to say
    systemctl stop etcd.service
    code 0 "$BOX/scripts/etcd/khagen-etcd-replace" m3 --yes
    rm -r "$BOX/data3"
    gone 2
    code 6 "$BOX/b/up.sh" --wait 3
    code 6 "$BOX/scripts/etcd/khagen-etcd-replace" m2 --yes; says 'majority is lost'
    code 64 "$BOX/scripts/etcd/khagen-etcd-replace"
    code 64 "$BOX/scripts/etcd/khagen-etcd-replace" 'm 2'
}

# A member dies as with its host: at once, and nothing of it answers any more.
gone() {
    kill -9 "$(<"$BOX/pid$1")"
    while kill -0 "$(<"$BOX/pid$1")" 2>/dev/null; do sleep 0.05; done
}

# The last founder comes when the others are a cluster already: that is no lost member.
case_etcd_last_founder() {
    etcd_host 3 new "$CLUSTER3"
    mkdir -p /etc/etcd/pki; cp "$BOX"/pki/etcd-* /etc/etcd/pki/
    other 1 new "$CLUSTER3"; other 2 new "$CLUSTER3"
    until_healthy
    code 0 "$BOX/b/install.sh"
    code 0 "$BOX/b/up.sh" --wait 30; says 'etcd is healthy'
    # one of the founders is lost for good, with its host: out it goes, from here
    gone 2
    code 0 "$BOX/scripts/etcd/khagen-etcd-replace" m2 --yes
    [[ $(ctl member list | wc -l) == 2 ]] || die "$(ctl member list)"
    ctl put a b >/dev/null
}

# What a control plane asks before kubeadm init: etcd, the endpoint, an empty registry.
case_etcd_guards_kubeadm_init() {
    ip addr add 192.168.13.36/32 dev lo
    pki "$BOX/pki"
    control_plane init
    mkdir -p "$BOX/b/root/etc/kubernetes/pki/etcd" /etc/etcd/pki
    cp "$BOX/pki/etcd-ca.crt" "$BOX/b/root/etc/kubernetes/pki/etcd/"
    cp "$BOX/pki/etcd-health-client.crt" "$BOX/b/root/etc/kubernetes/pki/apiserver-etcd-client.crt"
    cp "$BOX/pki/etcd-health-client.key" "$BOX/b/root/etc/kubernetes/pki/apiserver-etcd-client.key"
    cp "$BOX"/pki/etcd-* /etc/etcd/pki/
    seal "$BOX/b" 1
    code 0 "$BOX/b/install.sh"
    code 6 "$BOX/b/up.sh" --wait 0; says 'etcd is not healthy at: https://192.168.13.35:2379'
    other 1 new "$CLUSTER2"; other 2 new "$CLUSTER2"
    until_healthy
    code 6 "$BOX/b/up.sh" --wait 0; says 'k8sapi.isociel.com does not resolve'
    ip addr add 192.168.13.70/32 dev lo
    echo '192.168.13.70 k8sapi.isociel.com' >>/etc/hosts
    ctl put /registry/a 1 >/dev/null
    code 6 "$BOX/b/up.sh" --wait 0; says 'already holds a Kubernetes cluster \(1 keys'
    ! grep kubeadm "$BOX/calls" || die "kubeadm ran"
    ctl del /registry/a >/dev/null
    # an interrupted init is gone on with, not refused for what it wrote itself
    echo 1 >"$BOX/kubeadm-fails"
    code 1 "$BOX/b/up.sh" --wait 0; says 'kubeadm init failed'
    rm "$BOX/kubeadm-fails"
    ctl put /registry/a 1 >/dev/null
    code 0 "$BOX/b/up.sh" --wait 0; says 'going on'
    grep -E 'kubeadm init --config /etc/kubernetes/kubeadm.yaml --skip-token-print --ignore-preflight-errors=' "$BOX/calls"
    : >"$BOX/calls"
    code 0 "$BOX/b/up.sh" --wait 0; says 'nothing to do'
    ! grep kubeadm "$BOX/calls" || die "kubeadm ran again"
}

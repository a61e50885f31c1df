# shellcheck shell=bash
# Every command of every script of a host, made to fail.

# excused CALL CODE GOT: a command whose failure the script answers otherwise than with 1, and why.
excused() {
    case "$1=$2=$3" in
        # systemctl also says that there is no such unit
        'systemctl is-enabled '*=0) grep -F -x -e "${1##* }" "$BOX/absent" >/dev/null ;;
        'getent '*=2=[16]) ;;                                   # getent's own word for a name that does not resolve
        'ssh '*=4=4 | 'ssh '*=5=5 | 'ssh '*=6=6) ;;             # what ssh ends with is what the host's own script ended with
        'ssh '*verify.sh*=0) ;;                                 # a gate is asked again until it holds
        'rm -rf -- /tmp/tmp.'*=0) ;;                            # a run's own folder, when all is done
        'hostname -f'*=0) ;;                                    # asked again without -f
        *) return 1 ;;
    esac
}
# tools SCRIPT...: each command that the script runs on a good day, made to fail with 2 to 6. What a failing command means for the
# host is the script's to say with 1, never with a code that stands for something else. Each call fails in a run of its own (the
# five codes take turns), and each command in all of its calls in another. Calls that differ by the paths they are given only
# are taken for one, the first of them; MATCHING leaves out those that another case has. KHAGEN_FAULTS=all: every single call,
# each with every code; KHAGEN_FAULTS=codes: each command in all of its calls, with every code.
# AFTER sees to it that nothing is half done, and brings the host back to where the script starts.
tools() {
    local line call at=0 made=0 codes all=0 calls=() names=() WRONG=''
    everything "$@"
    "$AFTER"
    rm -f "$BOX/notes"
    FAULT=note "$@" >/dev/null 2>"$BOX/err" </dev/null || { cat "$BOX/err"; die "$* fails on a good day"; }
    rm -f "$BOX"/seen/*
    "$AFTER"
    all=$(wc -l <"$BOX/notes")
    mapfile -t calls < <(sort -k 1,1 -k 2n "$BOX/notes" | awk -v all="${KHAGEN_FAULTS-}" -v matching="${MATCHING:-.}" '{
        if (all != "all" && $0 !~ matching) next
        kind = $1
        for (i = 3; i <= NF; i++) if ($i !~ /\// && $i !~ /[0-9]$/) kind = kind " " $i
        sub(/:$/, "", $2)
        if (all == "all" || !seen[kind]++) print $1, $2
    }')
    mapfile -t names < <(printf '%s\n' "${calls[@]% *}" | sort -u)
    [[ ${#names[@]} -ge ${LEAST:-8} ]] || die "only ${names[*]}"
    if [[ ${KHAGEN_FAULTS-} == codes ]]; then calls=(); fi
    for call in "${names[@]}" "${calls[@]}"; do
        at=$((at + 1))
        codes=$((2 + at % 5))
        if [[ ${KHAGEN_FAULTS-} == all || ${KHAGEN_FAULTS-} == codes ]]; then codes='2 3 4 5 6'; fi
        for line in $codes; do failing "$call" "$line" "$@"; made=$((made + 1)); done
    done
    [[ -z $WRONG ]] || die "${WRONG#; }"
    echo "FIGURE ${*##*/}: $made runs with a failing command; ${#names[@]} commands, ${#calls[@]} of $all calls"
}
failing() {
    local at=$1 number=$2 got=0 struck=''
    shift 2
    rm -f "$BOX/struck"
    : >"$BOX/absent"
    FAULT=fail FAULT_AT=$at FAULT_CODE=$number "$@" >"$BOX/out" 2>"$BOX/err" </dev/null || got=$?
    rm -f "$BOX"/seen/*
    if [[ -f $BOX/struck ]]; then struck=$(head -n 1 "$BOX/struck"); elif [[ $at == *' '* && $got -eq 0 ]]; then return 0; fi
    FAILED_AT="'$struck' ($at) failed with $number: ${*##*/} ended with $got"
    if [[ $got -ne 1 ]] && ! excused "${struck/ +([0-9]): / }" "$number" "$got"; then
        tail -n 3 "$BOX/err"
        WRONG="$WRONG; $FAILED_AT"
    fi
    "$AFTER"
}

# The host is old or new, or the scripts say what finishes it: then by turns that is done, or SCRIPT run again. Afterwards it is
# as before it began.
TURN=0
old_or_new() {
    whole "${FAILED_AT-}"
    if [[ -f /var/lib/khagen/pending ]]; then
        TURN=$((TURN + 1))
        if ((TURN % 2)); then code 0 "$BOX/b1/rollback.sh" --resume; else code 0 "${SCRIPT[@]}"; fi
        shape >"$BOX/now"
        cmp -s "$BOX/old" "$BOX/now" || same "$BOX/new" "$BOX/now"
        leftovers
    fi
    host_again start
}
# tools_there SCRIPT...: for the scripts that go from old to new or back.
tools_there() {
    SCRIPT=("$@")
    keep_host start
    AFTER=old_or_new tools "$@"
}
unchanged() { shape >"$BOX/now"; same "$BOX/old" "$BOX/now"; }
case_faults_tools_of_install() {
    generations
    tools_there "$BOX/b2/install.sh"
}
case_faults_tools_of_verify() {
    generations
    LEAST=7 AFTER=unchanged tools "$BOX/b1/verify.sh"
}
case_faults_tools_of_rollback() {
    generations
    code 0 "$BOX/b2/install.sh"
    tools_there "$BOX/b2/rollback.sh" 1
}
case_faults_tools_of_uninstall() {
    etcd_generations
    tools_there "$BOX/b2/uninstall.sh" --yes
}

# What up.sh did is undone by hand, once another run has ended it.
joins_anew() {
    code 0 "$BOX/b/up.sh" --wait 0
    [[ -f /etc/kubernetes/kubelet.conf ]] || die "not joined: ${FAILED_AT-}"
    rm -rf /var/lib/khagen/up /etc/kubernetes/kubelet.conf "$BOX/units/kubelet.service.active"
}
case_faults_tools_of_up_join() {
    control_plane join
    api abcdef
    set +x
    code 0 "$BOX/b/install.sh"
    echo '192.168.13.35 k8sapi.isociel.com' >>/etc/hosts
    AFTER=joins_anew tools "$BOX/b/up.sh" --wait 0
}
case_faults_tools_of_up_balancer() {
    bundle "$BOX/b" 1
    ROLES='"load-balancer"' EXTRA='"endpoint": "k8sapi.isociel.com:6443",'
    UNITS='{"unit": "nginx.service", "enable": true, "start": true, "restartOn": [], "reloadOn": []}'
    seal "$BOX/b" 1
    set +x
    code 0 "$BOX/b/install.sh"
    api abcdef
    shape >"$BOX/old"
    AFTER=unchanged tools "$BOX/b/up.sh"
}

# member N STATE: this host is etcd member mN of three; etcdctl, etcd and the cluster's list are stand-ins.
member() {
    local n
    bundle "$BOX/b" 1
    ROLES='"etcd"' EXTRA="\"etcdState\": \"$2\",
\"etcdEndpoints\": [\"https://192.168.13.35:2379\",\"https://192.168.13.36:2379\",\"https://192.168.13.37:2379\"],"
    UNITS='{"unit": "etcd.service", "enable": true, "start": true, "restartOn": ["/etc/etcd/"], "reloadOn": []}'
    env_of "$1" "$2" "$CLUSTER3" | sed "s,ETCD_DATA_DIR=.*,ETCD_DATA_DIR=/var/lib/khagen-data," >"$BOX/b/root/etc/etcd/etcd.env"
    cp "$BOX/demo.key" "$BOX/b/root/etc/etcd/pki/etcd-health-client.key"
    seal "$BOX/b" 1
    for n in 1 2 3; do echo "$n, started, m$n, https://192.168.13.$((34 + n)):2380, https://192.168.13.$((34 + n)):2379, false"; done >"$BOX/members"
    cat >/usr/local/sbin/etcdctl <<STUB
#!/bin/bash
# the member's own: serves once its unit is active and it is on the list
at=\${1#--endpoints=}
case "\$*" in
    *'endpoint health'*) grep -q -F -x -e "\$at" "$BOX/sick" 2>/dev/null && exit 1
        if [[ \$at == https://192.168.13.$((34 + $1)):2379 ]]; then [[ -f $BOX/units/etcd.service.active ]]; fi ;;
    *'member list'*) cat "$BOX/members" ;;
    *'member add'*) echo "9, unstarted, , https://192.168.13.$((34 + $1)):2380, , true" >>"$BOX/members" ;;
    *'member promote'*)
        sed -i '/^9,/d' "$BOX/members"
        echo "9, started, m$1, https://192.168.13.$((34 + $1)):2380, https://192.168.13.$((34 + $1)):2379, false" >>"$BOX/members"
        mkdir -p /var/lib/khagen-data/member ;;
    *'member remove'*) sed -i "/^\${*: -1},/d" "$BOX/members" ;;
esac
STUB
    chmod 0755 /usr/local/sbin/etcdctl
    set +x
}
founds_anew() { code 0 "$BOX/b/up.sh" --wait 0; rm "$BOX/units/etcd.service.active"; }
case_faults_tools_of_up_etcd_founds() {
    member 1 new
    code 0 "$BOX/b/install.sh"
    rm "$BOX/units/etcd.service.active"
    AFTER=founds_anew tools "$BOX/b/up.sh" --wait 0
}
adds_anew() {
    code 0 "$BOX/b/up.sh" --wait 0
    [[ $(grep -c ':2380' "$BOX/members") == 3 ]] || die "added twice: $FAILED_AT"
    rm "$BOX/units/etcd.service.active"
    sed -i 3d "$BOX/members"
    rm -r /var/lib/khagen-data
}
case_faults_tools_of_up_etcd_adds() {
    member 3 existing
    sed -i 3d "$BOX/members"
    code 0 "$BOX/b/install.sh"
    AFTER=adds_anew tools "$BOX/b/up.sh" --wait 0
}
# The one that is replaced is either still on the list or off it; another run ends it.
on_the_list() {
    code 0 "$BOX/scripts/etcd/khagen-etcd-replace" m2 --yes
    [[ $(wc -l <"$BOX/members") == 2 ]] || die "${FAILED_AT-}: $(<"$BOX/members")"
    cp "$BOX/three" "$BOX/members"
}
case_faults_tools_of_etcd_replace() {
    member 1 new
    code 0 "$BOX/b/install.sh"
    cp "$BOX/members" "$BOX/three"
    echo https://192.168.13.36:2379 >"$BOX/sick"
    LEAST=2 AFTER=on_the_list tools "$BOX/scripts/etcd/khagen-etcd-replace" m2 --yes
}

# With a real member and etcd's own programs. No snapshot is half made, and none that was there is gone.
snapshots_are_whole() {
    [[ -z $(find "$BOX/snapshots" -name '.*') ]] || die "$FAILED_AT: $(ls -A "$BOX/snapshots")"
    ls "$BOX/snapshots" >"$BOX/now"
    # none went before the new one had its name
    [[ $(wc -l <"$BOX/now") == [23] ]] || die "${FAILED_AT-}: $(<"$BOX/now")"
    rm "$BOX"/snapshots/*
    cp -a "$BOX"/kept.snapshots/* "$BOX/snapshots/"
}
case_etcd_tools_of_snapshot() {
    etcd_host 1 new m1=https://192.168.13.35:2380
    set +x
    code 0 "$BOX/b/install.sh"
    until_healthy
    ctl put /registry/a kept >/dev/null
    mkdir "$BOX/snapshots" "$BOX/kept.snapshots"
    touch "$BOX/kept.snapshots/m1-20200101T000000Z.db" "$BOX/kept.snapshots/m1-20200102T000000Z.db"
    cp -a "$BOX"/kept.snapshots/* "$BOX/snapshots/"
    AFTER=snapshots_are_whole tools "$BOX/scripts/etcd/khagen-etcd-snapshot"
}
# The data is the old one or the new one, where etcd looks for it; another run ends what was begun. SETTLES: the same way.
restored_or_not() {
    local old=no
    if [[ -f $BOX/data1/old ]]; then old=yes; fi
    [[ $old == yes || -f $BOX/data1/member/snap/db ]] || die "${FAILED_AT-}: no data: $(ls -d "$BOX"/data1*)"
    # the former data is never lost
    [[ $old == yes || $(find "$BOX" -maxdepth 2 -path '*/data1.before-*/old' | wc -l) == 1 ]] || die "${FAILED_AT-}: the old data is gone"
    code 0 "$BOX/scripts/etcd/khagen-etcd-restore" "$BOX/saved.db" --token again --yes
    [[ -f $BOX/data1/member/snap/db && -z $(find "$BOX" -maxdepth 1 -name 'data1.new*') ]] || die "${FAILED_AT-}: $(ls -d "$BOX"/data1*)"
    rm -r "$BOX"/data1*
    mkdir "$BOX/data1"
    echo old >"$BOX/data1/old"
}
etcd_to_restore() {
    etcd_host 1 new m1=https://192.168.13.35:2380
    set +x
    code 0 "$BOX/b/install.sh"
    until_healthy
    ctl put /registry/a kept >/dev/null
    ctl snapshot save "$BOX/saved.db" >/dev/null 2>&1
    systemctl stop etcd.service
    rm -r "$BOX/data1"
    mkdir "$BOX/data1"
    echo old >"$BOX/data1/old"
}
case_etcd_tools_of_restore() {
    etcd_to_restore
    AFTER=restored_or_not tools "$BOX/scripts/etcd/khagen-etcd-restore" "$BOX/saved.db" --token again --yes
}

# etcd_of_stand_ins: at 192.168.13.35 and .36, port 2379, as a control plane asks it; it holds no key.
etcd_of_stand_ins() {
    ip addr add 192.168.13.36/32 dev lo
    mkdir -p "$BOX/registry"
    cat >"$BOX/registry/nginx.conf" <<END
pid $BOX/registry/pid; error_log $BOX/registry/error.log; daemon on;
events {}
http {
  access_log off; client_body_temp_path $BOX/registry/t1; proxy_temp_path $BOX/registry/t2; fastcgi_temp_path $BOX/registry/t3; uwsgi_temp_path $BOX/registry/t4; scgi_temp_path $BOX/registry/t5;
  server {
    listen 192.168.13.35:2379 ssl; listen 192.168.13.36:2379 ssl;
    ssl_certificate $BOX/pki/etcd-health-client.crt; ssl_certificate_key $BOX/pki/etcd-health-client.key;
    location = /health { return 200 '{"health":"true"}'; }
    location = /v3/kv/range { return 200 '{"header":{"revision":"1"}}'; }
  }
}
END
    nginx -c "$BOX/registry/nginx.conf" -e "$BOX/registry/error.log"
}
case_faults_tools_of_up_init() {
    pki "$BOX/pki"
    control_plane init
    mkdir -p "$BOX/b/root/etc/kubernetes/pki/etcd"
    cp "$BOX/pki/etcd-ca.crt" "$BOX/b/root/etc/kubernetes/pki/etcd/"
    cp "$BOX/pki/etcd-health-client.crt" "$BOX/b/root/etc/kubernetes/pki/apiserver-etcd-client.crt"
    cp "$BOX/pki/etcd-health-client.key" "$BOX/b/root/etc/kubernetes/pki/apiserver-etcd-client.key"
    seal "$BOX/b" 1
    etcd_of_stand_ins
    api abcdef
    set +x
    code 0 "$BOX/b/install.sh"
    echo '192.168.13.35 k8sapi.isociel.com' >>/etc/hosts
    AFTER=joins_anew tools "$BOX/b/up.sh" --wait 0
}

# What monitoring runs, on a member, a balancer and a node.
at_rest() { :; }
case_faults_tools_of_verify_etcd() {
    member 1 new
    code 0 "$BOX/b/install.sh"
    printf 'pid %s/peer.pid; events {} http { access_log off; server { listen 192.168.13.35:2380; } }\n' "$BOX" >"$BOX/peer.conf"
    nginx -c "$BOX/peer.conf" -e "$BOX/peer.log"
    AFTER=at_rest tools "$BOX/b/verify.sh"
}
case_faults_tools_of_verify_balancer() {
    bundle "$BOX/b" 1
    ROLES='"load-balancer"' EXTRA='"endpoint": "k8sapi.isociel.com:6443",'
    UNITS='{"unit": "nginx.service", "enable": true, "start": true, "restartOn": [], "reloadOn": []}'
    seal "$BOX/b" 1
    set +x
    code 0 "$BOX/b/install.sh"
    api abcdef
    echo '192.168.13.35 k8sapi.isociel.com' >>/etc/hosts
    AFTER=at_rest tools "$BOX/b/verify.sh" --quiet
}
case_faults_tools_of_verify_control_plane() {
    control_plane join
    api abcdef
    set +x
    code 0 "$BOX/b/install.sh"
    echo '192.168.13.35 k8sapi.isociel.com' >>/etc/hosts
    code 0 "$BOX/b/up.sh" --wait 0
    AFTER=at_rest tools "$BOX/b/verify.sh"
}
case_faults_tools_of_certificates() {
    mkdir -p /etc/etcd/pki /etc/kubernetes /etc/khagen /var/lib/khagen
    certificate demo "$BOX"
    cat "$BOX/demo.crt" "$BOX/demo.crt" >/etc/etcd/pki/demo.crt
    printf 'users:\n- name: a\n  user:\n    client-certificate-data: %s\n' "$(base64 -w 0 "$BOX/demo.crt")" >/etc/kubernetes/admin.conf
    echo RENEW_BEFORE_DAYS=30 >/etc/khagen/certificates.conf
    printf '{\n"host": "k8setcd1.isociel.com",\n}\n' >/var/lib/khagen/receipt.json
    cp "$SOURCES/host/khagen-certificates" "$BOX/khagen-certificates"
    chmod 0755 "$BOX/khagen-certificates"
    set +x
    code 0 "$BOX/khagen-certificates"
    [[ $(grep -c '^valid' "$BOX/out") == 3 ]] || die "$(<"$BOX/out")"
    LEAST=5 AFTER=at_rest tools "$BOX/khagen-certificates" --facts
    LEAST=5 AFTER=at_rest tools "$BOX/khagen-certificates"
}

# khagen-etcd-restore cut off: the data is the old or the new one, or the old lies aside and etcd is kept from founding an empty
# cluster; the same run again ends it.
restored_after_all() {
    local old
    old=$({ find "$BOX"/data1 "$BOX"/data1.before-* -maxdepth 1 -name old 2>/dev/null || :; } | wc -l)
    [[ $old == 1 ]] || die "$FAILED_AT: the old data is gone: $(ls -d "$BOX"/data1*)"
    if [[ ! -f $BOX/data1/old && ! -d $BOX/data1/member ]]; then
        grep -Fx "ConditionPathIsDirectory=$BOX/data1/member" /etc/systemd/system/etcd.service.d/khagen-restore.conf >/dev/null ||
            die "$FAILED_AT: etcd would found an empty cluster"
    fi
    code 0 "$BOX/scripts/etcd/khagen-etcd-restore" "$BOX/saved.db" --token again --yes
    [[ -f $BOX/data1/member/snap/db && -z $(find "$BOX" -maxdepth 1 -name 'data1.new*') ]] || die "$FAILED_AT: $(ls -d "$BOX"/data1*)"
    compgen -G "$BOX/data1.before-*/old" >/dev/null || die "$FAILED_AT: the old data is gone: $(ls -d "$BOX"/data1*)"
    [[ ! -e /etc/systemd/system/etcd.service.d ]] || die "$FAILED_AT: the guard stayed"
    rm -r "$BOX"/data1*
    mkdir "$BOX/data1"
    echo old >"$BOX/data1/old"
}
case_etcd_restore_killed() {
    etcd_to_restore
    CHANGES+=' etcdutl'
    prepare_faults "${CHANGES% etcdutl} $ETCD_BIN/etcdutl"
    AFTER=restored_after_all killed "$BOX/scripts/etcd/khagen-etcd-restore" "$BOX/saved.db" --token again --yes
}
case_faults_etcd_replace_killed() {
    member 1 new
    code 0 "$BOX/b/install.sh"
    cp "$BOX/members" "$BOX/three"
    echo https://192.168.13.36:2379 >"$BOX/sick"
    CHANGES+=' etcdctl'
    prepare_faults
    LEAST=3 AFTER=on_the_list killed "$BOX/scripts/etcd/khagen-etcd-replace" m2 --yes
}

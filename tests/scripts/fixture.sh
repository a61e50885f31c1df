# fixture.sh: a host with a past, a bundle for it, and what the cases ask of both. Sourced by run.sh.
# shellcheck shell=bash

die() { printf 'NOT AS IT SHOULD BE: %s\n' "$*"; exit 1; }
# code EXPECTED COMMAND...: the command ends with that code; its output is kept in $BOX/out and $BOX/err.
code() {
    local want=$1 got=0
    shift
    "$@" >"$BOX/out" 2>"$BOX/err" || got=$?
    if [[ $got -ne $want ]]; then
        cat "$BOX/out" "$BOX/err"
        die "$* ended with $got, not $want"
    fi
}
says() { grep -E -e "$1" "$BOX/out" "$BOX/err" >/dev/null || { cat "$BOX/out" "$BOX/err"; die "nothing said about '$1'"; }; }
same() { diff -u "$1" "$2" || die "$1 and $2 differ"; }
# picture: every file of the host that is ours or might be, with bytes, mode and owner.
picture() {
    find /etc /usr/local /var/lib -xdev \( -path /var/lib/khagen -o -path /etc/passwd- -o -path /etc/group- -o -path '/etc/*shadow*' -o -path /etc/passwd -o -path /etc/group -o -name '.pwd.lock' \) -prune -o \
        \( -newer "$BOX/epoch" -o -path '/etc/demo*' -o -path '/etc/etcd*' -o -path '/etc/systemd/system/demo*' \) -printf '%p %y %m %U %G %l\n' | grep -v -E '^/(etc|usr/local|var/lib) d' | sort
    sha256sum /etc/hosts /etc/demo/* /etc/etcd/pki/* /etc/systemd/system/demo* 2>/dev/null || :
    (cd "$BOX/units" && grep -r . . | sort) || :
}
# stamps: also times and inodes, of khagen's own state too; whatever was written lies in the overlays' upper folders
stamps() { (cd "$BOX/upper" && find . -printf '/%P %y %m %U %G %l %i %C@ %T@ %s\n' | sort); }

prepare_host() {
    hostname k8setcd1
    ip link set lo up
    ip addr add 192.168.13.35/32 dev lo
    # /etc/hosts may be a mount of its own
    umount /etc/hosts /etc/hostname /etc/resolv.conf 2>/dev/null || :
    mkdir -p "$BOX/units" /etc/demo
    : >"$BOX/calls"
    cat >/usr/local/sbin/systemctl <<STUB
#!/bin/bash
U=$BOX/units
echo "\$*" >>"$BOX/calls"
args=()
for a in "\$@"; do case \$a in --no-block|--now|--value) ;; -p) ;; *) args+=("\$a") ;; esac; done
verb=\${args[0]}; unit=\${args[-1]}
# it is asked a hundred times by one install: no forks
loaded() {
    LOADED=not-found
    if [[ -f /etc/systemd/system/\$unit ]] || compgen -G "\$U/\$unit.*" >/dev/null; then LOADED=loaded; else echo "\$unit" >>$BOX/absent; fi
}
if [[ -f $BOX/fail && "\$*" == *\$(<"$BOX/fail")* ]]; then exit \${FAIL_CODE:-1}; fi
if [[ -f $BOX/kill && "\$*" == *\$(<"$BOX/kill")* ]]; then rm "$BOX/kill"; kill -9 \$PPID; exit 0; fi
if [[ \$unit == etcd.service && -d $BOX/etcd-real ]]; then
    alive() { kill -0 "\$(cat $BOX/etcd-real/pid 2>/dev/null)" 2>/dev/null; }
    # as Type=notify: activating until it serves, so that a member without quorum is seen as waiting
    state() { if ! alive; then echo inactive dead; elif grep -q 'ready to serve client requests' $BOX/etcd-real/log; then echo active running; else echo activating start; fi; }
    read -r active sub <<<"\$(state)"
    case \$verb in
        start) if ! alive; then : >$BOX/etcd-real/log; (set -a; . /etc/etcd/etcd.env; exec setsid "$ETCD_BIN/etcd" >>$BOX/etcd-real/log 2>&1 9>&- </dev/null) & echo \$! >$BOX/etcd-real/pid; fi; exit 0 ;;
        stop) if alive; then kill "\$(cat $BOX/etcd-real/pid)"; while alive; do sleep 0.1; done; fi; exit 0 ;;
        is-active) echo \$active; [[ \$active == active ]]; exit ;;
        show) case "\$*" in *LoadState*) loaded; echo \$LOADED ;; *SubState*) echo \$sub ;; *ActiveState*) echo \$active ;; *Type*) echo notify ;; esac; exit 0 ;;
    esac
fi
get() { GOT=''; if [[ -f \$U/\$unit.\$1 ]]; then read -r GOT <"\$U/\$unit.\$1"; fi; GOT=\${GOT:-\$2}; }
case \$verb in
    is-enabled) loaded; get enabled disabled; if [[ \$LOADED == loaded ]]; then echo \$GOT; fi; [[ \$GOT == enabled ]] ;;
    is-active) get active inactive; echo \$GOT; [[ \$GOT == active ]] ;;
    enable) echo enabled >"\$U/\$unit.enabled" ;;
    disable) rm -f "\$U/\$unit.enabled"; if [[ "\$*" == *--now* ]]; then rm -f "\$U/\$unit.active"; fi ;;
    start|restart) GOT=active; if [[ -f $BOX/start.\$unit ]]; then read -r GOT <"$BOX/start.\$unit"; fi; echo \$GOT >"\$U/\$unit.active" ;;
    stop) rm -f "\$U/\$unit.active" ;;
    show) case "\$*" in
        *LoadState*) loaded; echo \$LOADED ;;
        # one that takes its time to stop
        *ActiveState*) n=0; if [[ -f $BOX/stops.\$unit ]]; then read -r n <"$BOX/stops.\$unit"; fi
            if [[ \$n -gt 0 ]]; then echo \$((n - 1)) >"$BOX/stops.\$unit"; echo deactivating; else get active inactive; echo \$GOT; fi ;;
        *SubState*) get active inactive; case \$GOT in active) echo running ;; activating) cat "$BOX/sub.\$unit" 2>/dev/null || echo start ;; *) echo dead ;; esac ;;
        *Type*) get type simple; echo \$GOT ;;
        *Result*) echo success ;;
      esac ;;
esac
STUB
    printf '#!/bin/sh\necho "modprobe $*" >>%s/calls\n' "$BOX" >/usr/local/sbin/modprobe
    printf '#!/bin/sh\necho "sysctl $*" >>%s/calls\n' "$BOX" >/usr/local/sbin/sysctl
    printf '#!/bin/sh\n' >/usr/local/sbin/sync      # nothing here outlives the case; flushing the disk is slow
    chmod 0755 /usr/local/sbin/sync /usr/local/sbin/systemctl /usr/local/sbin/modprobe /usr/local/sbin/sysctl
    echo 'the old one' >/etc/demo/app.conf
    chmod 0640 /etc/demo/app.conf
    chown daemon:adm /etc/demo/app.conf
    touch -d 2020-01-01 /etc/demo/app.conf
    echo 'to go' >/etc/demo/old.conf
    ln -s app.conf /etc/demo/link.conf
    printf '127.0.0.1 localhost\n10.0.0.1 mine' >/etc/hosts     # no newline at the end
    touch -d 2020-01-02 "$BOX/epoch"
}

# certificate NAME DIR [DAYS]
certificate() {
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj "/CN=$1" \
        -days "${3:-365}" -keyout "$2/$1.key" -out "$2/$1.crt" 2>/dev/null
}

# bundle DIR GENERATION: the demo bundle; change it afterwards, then seal it.
bundle() {
    local dir=$1 generation=$2
    mkdir -p "$dir/root/etc/demo" "$dir/root/etc/etcd/pki" "$dir/root/etc/systemd/system" \
        "$dir/root/etc/sysusers.d" "$dir/root/etc/sysctl.d" "$dir/root/etc/modules-load.d" "$dir/root/etc/kubernetes"
    cp "$BOX"/scripts/{install,up,verify,rollback,uninstall}.sh "$dir/"
    echo "# the demo host" >"$dir/README.md"
    cd "$dir/root/etc"
    if [[ ! -f $BOX/demo.crt ]]; then certificate demo "$BOX"; fi
    cp "$BOX/demo.crt" "$BOX/demo.key" etcd/pki/
    echo "u khagendemo - \"a demo user\" /nonexistent" >sysusers.d/demo.conf
    echo "generation $generation" >demo/app.conf
    echo "made once by $generation" >demo/once.conf
    echo "linked no more" >demo/link.conf
    printf '192.168.13.35 k8setcd1.isociel.com k8setcd1\n' >hosts
    echo 'net.ipv4.ip_forward = 1' >sysctl.d/90-demo.conf
    printf '# modules\noverlay\n' >modules-load.d/demo.conf
    echo 'token: "abcdef.0123456789abcdef"' >kubernetes/kubeadm.yaml
    printf '[Unit]\nDescription=demo\n[Service]\nExecStart=/bin/sleep 1000\n[Install]\nWantedBy=multi-user.target\n' >systemd/system/demo.service
    cd - >/dev/null
    ROLES='' COMMANDS='"openssl"' EXTRA='' UNITS='{"unit": "demo.service", "enable": true, "start": true, "restartOn": ["/etc/demo/app","/etc/systemd/system/demo.service"], "reloadOn": ["/etc/etcd/pki/"]}'
    FROM=$(date -u -d '-1 hour' +%FT%TZ) UNTIL=$(date -u -d '+300 days' +%FT%TZ) CLUSTER_ID=0123456789abcdef0123456789abcdef
    DIRECTORIES='{"path": "/etc/etcd/pki", "mode": "0750", "owner": "root", "group": "khagendemo"}'
    seal "$dir" "$generation"
}
file_line() { # PATH MODE OWNER GROUP POLICY
    local sum
    sum=$(sha256sum "$DIR/root$1" 2>/dev/null | cut -c 1-64 || :)
    printf '{"path": "%s", "mode": "%s", "owner": "%s", "group": "%s", "policy": "%s", "layer": "etcd", "secret": false, "sha256": "%s"}' "$1" "$2" "$3" "$4" "$5" "$sum"
}
# seal DIR GENERATION: MANIFEST.json and SHA256SUMS for what is there now.
seal() {
    local path policy owner mode
    DIR=$1
    {
        cat <<END
{
"schema": "khagen-manifest/v1",
"cluster": "k8s-cluster1",
"clusterId": "$CLUSTER_ID",
"host": "k8setcd1.isociel.com",
"name": "k8setcd1",
"nodeName": "k8setcd1.isociel.com",
"addresses": ["192.168.13.35"],
"roles": [$ROLES],
"generation": $2,
"validFrom": "$FROM",
"validUntil": "$UNTIL",
"commands": [$COMMANDS],
"packages": ["openssl","nginx"],
${EXTRA:+$EXTRA
}"directories": [
$DIRECTORIES
],
"units": [
$UNITS
],
"files": [
END
        {
            while read -r path; do
                mode=0644 owner=root policy=managed
                case $path in
                    /etc/kubernetes/pki/apiserver.*) policy=create-once mode=0600 ;;
                    *.key) mode=0600 owner=khagendemo ;;
                    */once.conf | /etc/kubernetes/pki/apiserver.*) policy=create-once ;;
                    /etc/hosts) policy=block ;;
                    */kubeadm.yaml) mode=0600 policy=input ;;
                esac
                file_line "$path" "$mode" "$owner" "$owner" "$policy"
                echo ,
            done < <(find "$DIR/root" -type f | sed "s,^$DIR/root,," | sort)
            file_line /etc/demo/old.conf 0644 root root absent
            echo
        }
        printf ']\n}\n'
    } >"$DIR/MANIFEST.json"
    # the last "," before a line end belongs to the line before it
    sed -i -e ':a' -e 'N' -e '$!ba' -e 's/}\n,/},/g' "$DIR/MANIFEST.json"
    (cd "$DIR" && find . -type f ! -name SHA256SUMS -printf '%P\0' | sort -z | xargs -0 sha256sum >SHA256SUMS)
    jq . "$DIR/MANIFEST.json" >/dev/null || die "the fixture's manifest is no JSON"
}

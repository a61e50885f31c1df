# shellcheck shell=bash
# Cases of install.sh, verify.sh, rollback.sh and uninstall.sh on the demo bundle.

case_install_and_second_run() {
    bundle "$BOX/b" 1
    # dry run: lists, writes nothing, 2
    stamps >"$BOX/s1"
    code 2 "$BOX/b/install.sh" --dry-run
    stamps >"$BOX/s2"
    same "$BOX/s1" "$BOX/s2"
    says '^replace /etc/demo/app.conf'; says '^create /etc/demo/once.conf'; says '^edit /etc/hosts'
    says '^remove /etc/demo/old.conf'; says '^mkdir /etc/etcd/pki'; says '^enable demo.service'; says '^start demo.service'
    code 0 "$BOX/b/install.sh"
    [[ $(</etc/demo/app.conf) == 'generation 1' ]] || die content
    [[ $(stat -c '%a %U %G' /etc/demo/app.conf) == '644 root root' ]] || die mode
    [[ $(stat -c '%a %U %G' /etc/etcd/pki/demo.key) == '600 khagendemo khagendemo' ]] || die key
    [[ $(stat -c '%a %U %G' /etc/etcd/pki) == '750 root khagendemo' ]] || die directory
    [[ $(stat -c '%a' /etc/etcd) == 755 ]] || die "mode of a parent"
    [[ ! -e /etc/demo/old.conf && -f /etc/demo/link.conf && ! -L /etc/demo/link.conf ]] || die "absent, link"
    grep -Fx '10.0.0.1 mine' /etc/hosts; grep -Fx '# BEGIN khagen k8s-cluster1' /etc/hosts; grep -F '192.168.13.35' /etc/hosts
    grep -Fx 'enable demo.service' "$BOX/calls"; grep -Fx 'start demo.service' "$BOX/calls"
    grep -Fx 'modprobe -- overlay' "$BOX/calls"; grep -F 'sysctl -q -p /etc/sysctl.d/90-demo.conf' "$BOX/calls"
    ! grep -r -e abcdef.0123456789abcdef /var/log/khagen || die "a token in the log"
    code 0 "$BOX/b/verify.sh"
    code 0 /var/lib/khagen/installed/verify.sh
    # second run: no write, no call that changes anything
    stamps >"$BOX/s1"; : >"$BOX/calls"
    code 0 "$BOX/b/install.sh"
    says 'nothing to do'
    code 0 "$BOX/b/install.sh" --dry-run
    stamps >"$BOX/s2"
    same "$BOX/s1" "$BOX/s2"
    ! grep -E 'start|enable |reload' "$BOX/calls" | grep -v is- || die "a unit was touched"
}

case_policies_on_change() {
    bundle "$BOX/b" 1
    code 0 "$BOX/b/install.sh"
    echo 'rewritten by its own tool' >/etc/demo/once.conf
    sed -i 's/^192.*/9.9.9.9 damaged/' /etc/hosts
    echo '10.0.0.2 added later' >>/etc/hosts
    chmod 0666 /etc/etcd/pki/demo.crt
    code 4 "$BOX/b/verify.sh"
    says 'DIFFERS  /etc/etcd/pki/demo.crt'; says 'DIFFERS  /etc/hosts'
    : >"$BOX/calls"
    code 2 "$BOX/b/install.sh" --dry-run
    says '^chmod /etc/etcd/pki/demo.crt'; says '^reload demo.service'
    code 0 "$BOX/b/install.sh"
    [[ $(</etc/demo/once.conf) == 'rewritten by its own tool' ]] || die "create-once was overwritten"
    grep -Fx '10.0.0.2 added later' /etc/hosts; grep -F '192.168.13.35' /etc/hosts
    ! grep -F 9.9.9.9 /etc/hosts || die block
    [[ $(grep -c khagen /etc/hosts) == 2 ]] || die markers
    grep -Fx 'reload demo.service' "$BOX/calls"
    ! grep -Fx 'restart demo.service' "$BOX/calls" || die "restarted for a reload"
    code 0 "$BOX/b/verify.sh"
}

case_new_generation_and_rollback() {
    bundle "$BOX/b1" 1
    code 0 "$BOX/b1/install.sh"
    picture >"$BOX/p1"
    bundle "$BOX/b2" 2
    rm "$BOX/b2/root/etc/sysctl.d/90-demo.conf"     # a file that the new generation no longer has
    seal "$BOX/b2" 2
    : >"$BOX/calls"
    code 0 "$BOX/b2/install.sh"
    grep -Fx 'restart demo.service' "$BOX/calls"
    [[ ! -e /etc/sysctl.d/90-demo.conf ]] || die "a leaving stayed"
    [[ $(</etc/demo/app.conf) == 'generation 2' ]] || die content
    # an older generation is refused
    stamps >"$BOX/s1"
    code 5 "$BOX/b1/install.sh"; says 'generation 2 is installed'
    stamps >"$BOX/s2"; same "$BOX/s1" "$BOX/s2"
    code 2 "$BOX/b2/rollback.sh" --dry-run
    says '^put back /etc/demo/app.conf'
    code 5 "$BOX/b2/rollback.sh" 7
    code 0 "$BOX/b2/rollback.sh"
    picture >"$BOX/p2"
    same "$BOX/p1" "$BOX/p2"
    code 0 "$BOX/b1/verify.sh"
    code 6 "$BOX/b1/rollback.sh"; says 'uninstall.sh'
    # and forward again
    code 0 "$BOX/b2/install.sh"
    code 0 "$BOX/b2/verify.sh"
    code 0 "$BOX/b2/rollback.sh" 1
    picture >"$BOX/p2"
    same "$BOX/p1" "$BOX/p2"
}

case_a_unit_named_for_a_file_stays_when_the_file_goes() {
    bundle "$BOX/b1" 1
    UNITS+=$',\n{"unit": "ssh.service", "enable": false, "start": false, "restartOn": ["/etc/demo/app.conf"], "reloadOn": []}'
    seal "$BOX/b1" 1
    echo enabled >"$BOX/units/ssh.service.enabled"
    echo active >"$BOX/units/ssh.service.active"
    code 0 "$BOX/b1/install.sh"
    grep -Fx 'restart ssh.service' "$BOX/calls"
    bundle "$BOX/b2" 2
    : >"$BOX/calls"
    code 0 "$BOX/b2/install.sh"
    ! grep -E '^(disable|stop).*ssh.service' "$BOX/calls" || die "the host's own sshd was switched off"
}

case_uninstall() {
    picture >"$BOX/p1"
    bundle "$BOX/b1" 1
    code 0 "$BOX/b1/install.sh"
    bundle "$BOX/b2" 2
    code 0 "$BOX/b2/install.sh"
    code 6 "$BOX/b2/uninstall.sh"
    code 2 "$BOX/b2/uninstall.sh" --dry-run
    code 0 /var/lib/khagen/installed/uninstall.sh --yes
    picture >"$BOX/p2"
    same "$BOX/p1" "$BOX/p2"
    [[ $(stat -c '%Y' /etc/demo/app.conf) == $(date -d 2020-01-01 +%s) ]] || die "mtime"
    [[ -z $(ls /var/lib/khagen/backups) && ! -e /var/lib/khagen/installed ]] || die "state stayed"
    code 0 "$BOX/b2/uninstall.sh" --yes
    says 'nothing to do'
}

# refused CODE WORDS: install.sh ends so, in a dry run and for real, and nothing has changed.
refused() {
    stamps >"$BOX/s1"
    code "$1" "$BOX/b/install.sh" --dry-run; says "$2"
    code "$1" "$BOX/b/install.sh"; says "$2"
    stamps | grep -v -E '^/var/(lib|log)/khagen' >"$BOX/s2"
    grep -v -E '^/var/(lib|log)( |/khagen)' "$BOX/s1" >"$BOX/s1.cut"
    grep -v -E '^/var/(lib|log) ' "$BOX/s2" >"$BOX/s2.cut"
    same "$BOX/s1.cut" "$BOX/s2.cut"
}
case_refuses_wrong_host_name() { bundle "$BOX/b" 1; hostname k8setcd2; refused 5 'calls itself k8setcd2'; hostname K8SETCD1.isociel.com; code 0 "$BOX/b/install.sh"; }
case_refuses_wrong_address() { bundle "$BOX/b" 1; ip addr del 192.168.13.35/32 dev lo; ip addr add 192.168.13.3/32 dev lo; refused 5 'none of the bundle'; }
case_refuses_flipped_byte() { bundle "$BOX/b" 1; sed -i 's/generation 1/generation 9/' "$BOX/b/root/etc/demo/app.conf"; refused 4 'damaged'; }
case_refuses_extra_file() { bundle "$BOX/b" 1; echo x >"$BOX/b/root/etc/demo/extra"; refused 4 'does not name'; }
case_refuses_link() { bundle "$BOX/b" 1; ln -s /etc/passwd "$BOX/b/root/etc/demo/extra"; refused 4 'no plain file'; }
case_refuses_missing_file() { bundle "$BOX/b" 1; rm "$BOX/b/root/etc/demo/app.conf"; refused 4 'damaged'; }
case_refuses_file_outside_manifest() {
    bundle "$BOX/b" 1; echo x >"$BOX/b/root/etc/demo/extra"
    (cd "$BOX/b" && sha256sum root/etc/demo/extra >>SHA256SUMS)
    refused 4 'do not agree'
}
case_refuses_bad_clock() {
    bundle "$BOX/b" 1
    FROM=2090-01-01T00:00:00Z UNTIL=2091-01-01T00:00:00Z; seal "$BOX/b" 1; refused 6 'set the clock'
    FROM=2001-01-01T00:00:00Z UNTIL=2002-01-01T00:00:00Z; seal "$BOX/b" 1; refused 6 'set the clock'
}
case_refuses_missing_command() {
    bundle "$BOX/b" 1; COMMANDS='"openssl","no-such-thing"'; seal "$BOX/b" 1
    refused 6 'no-such-thing'; says 'apt-get install openssl nginx'
}
case_refuses_other_cluster() {
    bundle "$BOX/a" 1; code 0 "$BOX/a/install.sh"
    bundle "$BOX/b" 2; CLUSTER_ID=ffffffffffffffffffffffffffffffff; seal "$BOX/b" 2; refused 5 'belongs to cluster'
}
case_refuses_same_generation_of_another_store() {
    bundle "$BOX/a" 1; code 0 "$BOX/a/install.sh"
    bundle "$BOX/b" 1; echo other >"$BOX/b/root/etc/demo/app.conf"; seal "$BOX/b" 1; refused 5 'another store'
}
case_refuses_broken_markers() { bundle "$BOX/b" 1; echo '# BEGIN khagen k8s-cluster1' >>/etc/hosts; printf '\n# BEGIN khagen k8s-cluster1\n' >>/etc/hosts; refused 1 'do not pair up'; }
case_usage() {
    local -A option=([install]=--dry-run [up]='' [verify]='' [rollback]=--dry-run [uninstall]=--dry-run)
    bundle "$BOX/b" 1
    chmod 0755 "$WORK" "$BOX" "$BOX/b" "$BOX"/b/*.sh
    for script in install up verify rollback uninstall; do
        code 64 "$BOX/b/$script.sh" --no-such-option
        code 0 "$BOX/b/$script.sh" --help
        says "^Usage: $script.sh"
        code 6 setpriv --reuid 65534 --clear-groups bash "$BOX/b/$script.sh" ${option[$script]}
    done
}

case_refuses_what_a_daemon_refuses() {
    bundle "$BOX/b" 1
    mkdir -p "$BOX/b/root/etc/nginx"
    printf 'events {}\nno_such_directive on;\n' >"$BOX/b/root/etc/nginx/nginx.conf"
    seal "$BOX/b" 1
    picture >"$BOX/p1"
    code 1 "$BOX/b/install.sh"
    says 'unknown directive "no_such_directive"'; says 'nothing was touched'
    picture >"$BOX/p2"; same "$BOX/p1" "$BOX/p2"
    # the same file without the fault is read in place, with an include that only the bundle has
    printf 'worker_processes 1;\nevents {}\ninclude /etc/nginx/khagen.inc;\n' >"$BOX/b/root/etc/nginx/nginx.conf"
    printf 'http { }\n' >"$BOX/b/root/etc/nginx/khagen.inc"
    printf '[Unit]\nDescription=x\n[Service]\nExecStart=/no/such/binary\n' >"$BOX/b/root/etc/systemd/system/demo2.service"
    seal "$BOX/b" 1
    code 1 "$BOX/b/install.sh"; says '/no/such/binary'
    rm "$BOX/b/root/etc/systemd/system/demo2.service"
    seal "$BOX/b" 1
    code 0 "$BOX/b/install.sh"
}

# What was mounted when the list was read may be gone a moment later: nothing of ours, and no reason to stop.
case_a_mount_that_goes_away_meanwhile() {
    bundle "$BOX/b" 1
    mkdir /var/tmp/kh-gone
    mount -t tmpfs tmpfs /var/tmp/kh-gone
    printf '#!/bin/sh\ncase "$1" in --reference=/var/tmp/kh-gone) echo gone >>%s; umount -l /var/tmp/kh-gone host/var/tmp/kh-gone; rmdir /var/tmp/kh-gone ;; esac\nexec %s "$@"\n' \
        "$BOX/gone" "$(command -v chmod)" >/usr/local/sbin/chmod
    chmod 0755 /usr/local/sbin/chmod
    code 0 "$BOX/b/install.sh"
    [[ $(wc -l <"$BOX/gone") -eq 1 ]] || die "it was not asked for once"
    [[ ! -e /var/tmp/kh-gone ]] || die "it is still there"
    ! grep -e 'no overlay' "$BOX/out" "$BOX/err" || die "read late"
}
# Where no overlay can be mounted the daemons read in place; a refusal then is a failure like another.
case_daemons_read_late_without_overlay() {
    printf '#!/bin/sh\nexit 32\n' >/usr/local/sbin/mount
    chmod 0755 /usr/local/sbin/mount
    bundle "$BOX/b" 1
    mkdir -p "$BOX/b/root/etc/nginx"
    printf 'events {}\nno_such_directive on;\n' >"$BOX/b/root/etc/nginx/nginx.conf"
    seal "$BOX/b" 1
    picture >"$BOX/p1"
    code 1 "$BOX/b/install.sh"; says 'no_such_directive'; says 'as it was before'
    picture >"$BOX/p2"; same "$BOX/p1" "$BOX/p2"
    printf 'events {}\n' >"$BOX/b/root/etc/nginx/nginx.conf"
    seal "$BOX/b" 1
    code 0 "$BOX/b/install.sh"; says 'no overlay'
}

case_failure_puts_everything_back() {
    local word
    bundle "$BOX/b" 1
    picture >"$BOX/p1"
    for word in 'daemon-reload' 'enable demo.service' 'start demo.service'; do
        echo "$word" >"$BOX/fail"
        code 1 "$BOX/b/install.sh"
        rm "$BOX/fail"
        picture >"$BOX/p2"; same "$BOX/p1" "$BOX/p2"
    done
    # a unit that starts but does not stay up
    echo failed >"$BOX/start.demo.service"
    code 1 "$BOX/b/install.sh"; says 'demo.service does not come up'; says 'as it was before'
    rm "$BOX/start.demo.service"
    rm -f "$BOX/units/demo.service.active"
    picture >"$BOX/p2"; same "$BOX/p1" "$BOX/p2"
    [[ -z $(ls /var/lib/khagen/backups) && ! -e /var/lib/khagen/pending ]] || die "state stayed"
    code 0 "$BOX/b/install.sh"
}

case_tools_codes_are_not_ours() {
    local number
    bundle "$BOX/b" 1
    for number in 2 4 5 6; do
        echo daemon-reload >"$BOX/fail"
        FAIL_CODE=$number code 1 "$BOX/b/install.sh"
    done
}

case_killed_in_the_middle() {
    bundle "$BOX/b" 1
    picture >"$BOX/p1"
    echo daemon-reload >"$BOX/kill"
    code 137 "$BOX/b/install.sh"
    [[ -f /var/lib/khagen/pending ]] || die "not between old and new"
    code 6 "$BOX/b/up.sh"
    code 0 "$BOX/b/rollback.sh" --resume
    picture >"$BOX/p2"; same "$BOX/p1" "$BOX/p2"
    echo daemon-reload >"$BOX/kill"
    code 137 "$BOX/b/install.sh"
    code 0 "$BOX/b/install.sh"
    says 'cut off'
    code 0 "$BOX/b/verify.sh"
    # killed while going back
    bundle "$BOX/b2" 2
    code 0 "$BOX/b2/install.sh"
    picture >"$BOX/p1"
    echo 'daemon-reload' >"$BOX/kill"
    code 137 "$BOX/b2/rollback.sh"
    code 0 "$BOX/b2/rollback.sh" --resume
    [[ $(</etc/demo/app.conf) == 'generation 1' ]] || die "not gone back"
    code 0 "$BOX/b/verify.sh"
}

case_etcd_waiting_for_peers_is_a_success() {
    bundle "$BOX/b" 1
    UNITS='{"unit": "etcd.service", "enable": true, "start": true, "restartOn": ["/etc/etcd/"], "reloadOn": []}'
    seal "$BOX/b" 1
    echo activating >"$BOX/start.etcd.service"
    code 0 "$BOX/b/install.sh"
    says 'waits for its peers'
    grep -Fx -e '--no-block start etcd.service' "$BOX/calls"
    code 0 "$BOX/b/install.sh"; says 'nothing to do'
    code 6 "$BOX/b/verify.sh"; says 'WAITS .*etcd'
    # one that crashes again and again is none
    code 0 "$BOX/b/uninstall.sh" --yes
    echo auto-restart >"$BOX/sub.etcd.service"
    code 1 "$BOX/b/install.sh"; says 'does not come up'
}

case_rollback_refuses_expired() {
    bundle "$BOX/b1" 1
    cd "$BOX/b1/root/etc/etcd/pki"
    openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=demo -keyout demo.key -out "$BOX/csr" 2>/dev/null
    printf '[ca]\ndefault_ca=a\n[a]\nnew_certs_dir=%s\ndatabase=%s\nserial=%s\npolicy=p\ndefault_md=sha256\n[p]\ncommonName=supplied\n' "$BOX" "$BOX/index" "$BOX/serial" >"$BOX/cnf"
    : >"$BOX/index"
    openssl ca -batch -config "$BOX/cnf" -create_serial -selfsign -keyfile demo.key -in "$BOX/csr" -out demo.crt -startdate 20200101000000Z -enddate 20200102000000Z -notext 2>/dev/null
    seal "$BOX/b1" 1
    code 0 "$BOX/b1/install.sh"
    code 1 "$BOX/b1/verify.sh"; says 'has expired'
    bundle "$BOX/b2" 2
    code 0 "$BOX/b2/install.sh"
    code 6 "$BOX/b2/rollback.sh"; says 'expired'
}

case_verify_sees() {
    bundle "$BOX/b" 1
    code 6 "$BOX/b/verify.sh"; says 'run install.sh'
    code 0 "$BOX/b/install.sh"
    rm "$BOX/units/demo.service.active"
    code 1 "$BOX/b/verify.sh"; says 'FAILS    demo.service is inactive'
    code 1 "$BOX/b/verify.sh" --quiet
    ! grep '^ok' "$BOX/out" || die "--quiet talks"
    echo active >"$BOX/units/demo.service.active"
    certificate demo /tmp; cat /tmp/demo.crt >/etc/etcd/pki/demo.crt; rm /tmp/demo.crt /tmp/demo.key
    code 1 "$BOX/b/verify.sh"; says 'are no pair'
    rm /etc/kubernetes/kubeadm.yaml
    cp "$BOX/demo.crt" /etc/etcd/pki/demo.crt
    code 0 "$BOX/b/verify.sh"
}

# etcd with watchers takes seven seconds to stop, by its unit up to a minute: it is waited for, not rolled back. One that never
# ends is.
case_an_etcd_that_stops_slowly() {
    member 1 new
    printf '#!/bin/sh\necho "sleep $*" >>%s/slept\n' "$BOX" >/usr/local/sbin/sleep
    chmod 0755 /usr/local/sbin/sleep
    code 0 "$BOX/b/install.sh"; says 'etcd.service is active'
    cp -a "$BOX/b" "$BOX/b2"
    echo ETCD_QUOTA_BACKEND_BYTES=8589934592 >>"$BOX/b2/root/etc/etcd/etcd.env"
    seal "$BOX/b2" 2
    : >"$BOX/calls"
    echo 100 >"$BOX/stops.etcd.service"
    code 0 "$BOX/b2/install.sh"; says 'etcd.service is active'
    [[ $(wc -l <"$BOX/slept") == 100 ]] || die "waited $(wc -l <"$BOX/slept") times"
    [[ $(grep -c 'restart etcd.service' "$BOX/calls") == 1 ]] || die "$(grep etcd "$BOX/calls")"
    grep -q QUOTA /etc/etcd/etcd.env || die "rolled back"
    code 0 "$BOX/b2/install.sh"; says 'nothing to do'
    cp -a "$BOX/b2" "$BOX/b3"
    echo ETCD_SNAPSHOT_COUNT=5000 >>"$BOX/b3/root/etc/etcd/etcd.env"
    seal "$BOX/b3" 3
    echo 100000 >"$BOX/stops.etcd.service"
    code 1 "$BOX/b3/install.sh"; says 'etcd.service does not come up: deactivating'; says 'the host is as it was before'
    ! grep SNAPSHOT_COUNT /etc/etcd/etcd.env || die "not rolled back"
}

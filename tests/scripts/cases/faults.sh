# shellcheck shell=bash
# What is left of a host when a script is cut off after any of its changes, when the disk is full or read-only from then on, and
# when any of its commands fails.

# generations: bundles 1 and 2 with every kind of change between them; 1 is installed.
generations() {
    local unit
    bundle "$BOX/b1" 1
    UNITS+=$',\n{"unit": "gone.service", "enable": true, "start": true, "restartOn": [], "reloadOn": []}'
    seal "$BOX/b1" 1
    bundle "$BOX/b2" 2
    cd "$BOX/b2/root/etc"
    rm sysctl.d/90-demo.conf systemd/system/demo.service
    printf 'overlay\nbr_netfilter\n' >modules-load.d/demo.conf
    echo 'vm.swappiness = 10' >sysctl.d/91-demo.conf
    mkdir -p tmpfiles.d demo/deep/er systemd/system/new.service.d
    printf '[Unit]\nDescription=new\n[Service]\nExecStart=/bin/sleep 1000\n[Install]\nWantedBy=multi-user.target\n' >systemd/system/new.service
    printf '[Service]\nRestart=always\n' >systemd/system/new.service.d/demo.conf
    echo 'd /var/lib/khagen-demo 0755 root root -' >tmpfiles.d/demo.conf
    echo deep >demo/deep/er/file
    printf '192.168.13.35 k8setcd1.isociel.com k8setcd1\n192.168.13.36 k8setcd2\n' >hosts
    cd - >/dev/null
    DIRECTORIES='{"path": "/etc/etcd/pki", "mode": "0755", "owner": "root", "group": "khagendemo"},
{"path": "/etc/demo/own", "mode": "0700", "owner": "khagendemo", "group": "root"}'
    UNITS='{"unit": "demo.service", "enable": true, "start": true, "restartOn": ["/etc/demo/app"], "reloadOn": []},
{"unit": "new.service", "enable": true, "start": true, "restartOn": [], "reloadOn": []}'
    seal "$BOX/b2" 2
    prepare_faults
    set +x
    code 0 "$BOX/b1/install.sh"
    code 0 "$BOX/b2/install.sh"; shape >"$BOX/new"
    code 0 "$BOX/b2/rollback.sh"; shape >"$BOX/old"
    ! cmp -s "$BOX/old" "$BOX/new" || die "the generations do not differ"
}
ASKED=0
# whole WHERE: the host is as OLD or NEW says, or the script has said what finishes the job, which then does it.
whole() {
    local said
    if [[ ! -f /var/lib/khagen/pending ]]; then
        shape >"$BOX/now"
        if cmp -s "$BOX/now" "$BOX/old" || cmp -s "$BOX/now" "$BOX/new"; then return 0; fi
        diff "$BOX/old" "$BOX/now" || :
        die "neither old nor new, and nobody says so: $1"
    fi
    # verify.sh, which monitoring runs, says it as well; it looks at all the rest too, so not each time
    ASKED=$((ASKED + 1))
    if ((ASKED % 4 != 1)); then return 0; fi
    said=$("$BOX/b1/verify.sh" --quiet 2>&1) && die "$1: verify.sh finds nothing wrong"
    [[ $said == *'finish it with '*'/rollback.sh --resume'* ]] || die "$1: nobody says how to finish: $said"
}
# every: sets STEP, 1 for every change. THIN=3 means each third, unless KHAGEN_FAULTS=all asks for all of them.
every() {
    STEP=${THIN:-1}
    if [[ ${KHAGEN_FAULTS-} == all ]]; then STEP=1; fi
    HOW_MANY="every change"
    if [[ $STEP -gt 1 ]]; then HOW_MANY="change 1, $((1 + STEP)), $((1 + 2 * STEP)) and so on (all with KHAGEN_FAULTS=all)"; fi
    # also in what a failed case leaves to read
    printf '%s\n' "$HOW_MANY"
}
# each FAULT SCRIPT...: that fault after every change of the script. MEND brings the host back to where the script starts.
each() {
    local fault=$1 n turn codes='' now mended=0
    local -A done_with=()
    shift
    every
    keep_host start
    # the two ways of mending take turns
    turn=1
    for ((n = 1; ; n += STEP)); do
        struck "$fault" "$n" "$@"
        if [[ -z $STRUCK ]]; then break; fi
        case $CODE:$fault:$(tail -n 1 "$BOX/err") in
            [01]:* | 137:kill:*) ;;
            6:full:*'KiB free; this needs '*) ;;
            *) cat "$BOX/err"; die "$fault after $STRUCK: ended with $CODE" ;;
        esac
        codes="$codes $CODE"
        # not every change leaves something else behind
        now=$(state | sha256sum)
        if [[ -z ${done_with[$now]-} ]]; then
            done_with[$now]=yes
            whole "$fault after change $n, $STRUCK"
            "$MEND" "$turn"
            turn=$((turn + 1))
        fi
        host_again start
    done
    host_again start
    [[ $CODE -eq 0 && $n -gt ${LEAST:-20} ]] || { cat "$BOX/err"; die "$*: $CODE after $n changes"; }
    # a disk that fills, or a root that turns read-only, without any run minding it was no fault at all
    [[ $codes == *1* ]] || die "$fault: nobody minded"
    printf 'FIGURE %s: %s after %s of %s, mended from %s states; the runs ended with %s\n' "${1##*/}" "$fault" "$HOW_MANY" "$((n - 1))" "${#done_with[@]}" \
        "$(tr ' ' '\n' <<<"${codes# }" | sort -n | uniq -c | awk '{ printf "%s%s (%s times)", (NR > 1 ? ", " : ""), $2, $1 }')"
}

# By turns: the command that was named, or the same run again, which then goes back again.
mend_install() {
    if (($1 % 2)); then
        code 0 "$BOX/b1/rollback.sh" --resume
        if cmp -s <(shape) "$BOX/new"; then code 0 "$BOX/b2/rollback.sh" 1; fi
    else
        code 0 "$BOX/b2/install.sh"
        shape >"$BOX/now"; same "$BOX/new" "$BOX/now"
        code 0 "$BOX/b2/rollback.sh" 1
    fi
    shape >"$BOX/now"; same "$BOX/old" "$BOX/now"
    leftovers
}
leftovers() {
    local odd
    odd=$(find /etc /usr/local /var/lib/khagen -name '*khagen-new*' -o -path '/var/lib/khagen/*.new' -o -path /var/lib/khagen/stage)
    [[ -z $odd ]] || die "left behind: $odd"
}
case_faults_install_killed() { generations; MEND=mend_install each kill "$BOX/b2/install.sh"; }
case_faults_install_disk_full() { generations; THIN=3 MEND=mend_install each full "$BOX/b2/install.sh"; }
case_faults_install_root_read_only() {
    generations
    THIN=5 MEND=mend_install each ro "$BOX/b2/install.sh"
    for d in /etc /usr/local /var/lib /var/log; do mount -o remount,ro overlay $d; done
    code 1 "$BOX/b2/install.sh"; says 'cannot write to /var/lib/khagen'
    code 1 "$BOX/b1/uninstall.sh" --yes
    code 1 "$BOX/b1/up.sh"
    code 0 "$BOX/b1/verify.sh"
    code 2 "$BOX/b2/install.sh" --dry-run
    shape >"$BOX/now"; same "$BOX/old" "$BOX/now"
}

mend_rollback() {
    if (($1 % 2)); then
        code 0 "$BOX/b2/rollback.sh" --resume
        if cmp -s <(shape) "$BOX/new"; then code 0 "$BOX/b2/rollback.sh" 1; fi
    else
        code 0 "$BOX/b2/rollback.sh" 1
    fi
    shape >"$BOX/now"; same "$BOX/old" "$BOX/now"
    leftovers
}
case_faults_rollback_killed() {
    generations
    code 0 "$BOX/b2/install.sh"
    MEND=mend_rollback LEAST=10 each kill "$BOX/b2/rollback.sh" 1
}

mend_uninstall() {
    if (($1 % 2)); then code 0 "$BOX/b2/rollback.sh" --resume; fi
    code 0 "$BOX/b2/uninstall.sh" --yes
    [[ $(find /var/lib/khagen-data* -name member) == /var/lib/khagen-data.uninstalled-*/member ]] || die "etcd's data: $(find /var/lib/khagen-data*)"
    leftovers
    rm -rf /var/lib/khagen-data*
    shape >"$BOX/now"; same "$BOX/before" "$BOX/now"
}
# etcd's host with two generations, its data in place.
again() {
    code 0 "$BOX/b1/install.sh"
    code 0 "$BOX/b2/install.sh"
    mkdir -p /var/lib/khagen-data/member
}
etcd_generations() {
    local generation
    for generation in 1 2; do
        bundle "$BOX/b$generation" "$generation"
        ROLES='"etcd"'
        echo 'ETCD_DATA_DIR=/var/lib/khagen-data' >"$BOX/b$generation/root/etc/etcd/etcd.env"
        seal "$BOX/b$generation" "$generation"
    done
    prepare_faults
    set +x
    # once there and back, so that folders and users of before do not differ
    code 0 "$BOX/b1/install.sh"; code 0 "$BOX/b1/uninstall.sh" --yes
    shape >"$BOX/before"
    again
    shape >"$BOX/new"
    cp "$BOX/before" "$BOX/old"
}
case_faults_uninstall_killed() {
    etcd_generations
    MEND=mend_uninstall LEAST=10 each kill "$BOX/b2/uninstall.sh" --yes
}

# up.sh cut off: kubeadm may have run or not; the next run goes on, and kubeadm is not begun twice as if for the first time.
case_faults_up_killed() {
    local n
    every
    control_plane join
    api abcdef
    prepare_faults
    set +x
    code 0 "$BOX/b/install.sh"
    echo '192.168.13.35 k8sapi.isociel.com' >>/etc/hosts
    for ((n = 1; ; n += STEP)); do
        : >"$BOX/calls"
        struck kill "$n" "$BOX/b/up.sh" --wait 0
        if [[ -z $STRUCK ]]; then break; fi
        [[ $CODE == 137 ]] || die "killed after $STRUCK: $CODE"
        code 0 "$BOX/b/up.sh" --wait 0
        [[ $(grep -c -E 'kubeadm join --config /etc/kubernetes/kubeadm.yaml$' "$BOX/calls") -le 1 ]] || die "begun twice after $STRUCK"
        grep -E 'kubeadm join' "$BOX/calls" >/dev/null || die "never joined after $STRUCK"
        : >"$BOX/calls"
        code 0 "$BOX/b/up.sh" --wait 0; says 'nothing to do'
        ! grep kubeadm "$BOX/calls" || die "joined again after $STRUCK"
        rm -rf /var/lib/khagen/up /etc/kubernetes/kubelet.conf "$BOX/units/kubelet.service.active"
    done
    [[ $CODE == 0 && $n -gt 8 ]] || { cat "$BOX/err"; die "$CODE after $n"; }
    echo "FIGURE up.sh: kill after $HOW_MANY of less than $n"
}

# A dry run under a tracer: no file is opened for writing, made, renamed, removed, or given another mode or owner.
dry() {
    strace -f -qq -e trace=open,openat,openat2,creat,mkdir,mkdirat,rename,renameat,renameat2,unlink,unlinkat,rmdir,link,linkat,symlink,symlinkat,chmod,fchmod,fchmodat,chown,fchown,lchown,fchownat,truncate,ftruncate,utimensat,mount,mknod,mknodat,setxattr,lsetxattr \
        -o "$BOX/trace" "$@" >"$BOX/out" 2>"$BOX/err" || [[ $? -eq 2 ]] || { cat "$BOX/err"; die "$* under the tracer"; }
    [[ $(grep -c 'openat(.*O_RDONLY' "$BOX/trace") -gt 10 ]] || { cut -c 1-150 "$BOX/trace" | tail -n 20; die "the tracer saw nothing"; }
    # BOX: where the stub of systemctl keeps its state
    ! grep -v -E ' = -1 |unfinished|\(AT_FDCWD, "'"$BOX"'/|"/dev/(null|tty)"|open(at)?\([^|]*O_RDONLY(\|O_[A-BD-Z][A-Z_]*)*\)? ' "$BOX/trace" | grep -E '^[0-9]+ +[a-z]' | grep -v -E 'O_RDONLY(\)|\|O_(CLOEXEC|NONBLOCK|DIRECTORY|NOFOLLOW|NOCTTY|LARGEFILE|PATH|NOATIME))+' || die "$* wrote"
}
case_faults_dry_runs_write_nothing() {
    bundle "$BOX/b1" 1
    bundle "$BOX/b2" 2
    set +x
    dry "$BOX/b1/install.sh" --dry-run; says '^create /etc/demo/once.conf'
    code 0 "$BOX/b1/install.sh"
    dry "$BOX/b2/install.sh" --dry-run; says '^replace /etc/demo/app.conf'
    code 0 "$BOX/b2/install.sh"
    dry "$BOX/b2/rollback.sh" --dry-run; says '^put back /etc/demo/app.conf'
    dry "$BOX/b2/uninstall.sh" --dry-run; says '^remove /etc/demo/once.conf'
    # the judge sees a write
    (dry "$BOX/b2/rollback.sh" 1 >"$BOX/judged" 2>&1) && die "a tracer that sees no write"
    grep 'rollback.sh 1 wrote$' "$BOX/judged" >/dev/null || { cat "$BOX/judged"; die "it failed for another reason"; }
}

case_refuses_a_retired_host() {
    bundle "$BOX/b" 1
    EXTRA='"state": "retired",'; rm -r "$BOX/b/root"; DIRECTORIES='' UNITS=''; mkdir "$BOX/b/root"
    seal "$BOX/b" 1
    refused 6 'is retired.*uninstall.sh'
}
# Another host's scripts in this host's hands.
case_refuses_another_hosts_scripts() {
    bundle "$BOX/a" 1; code 0 "$BOX/a/install.sh"
    bundle "$BOX/b" 2; sed -i 's/k8setcd1/k8setcd2/g' "$BOX/b/MANIFEST.json"
    stamps >"$BOX/s1"
    code 5 "$BOX/b/uninstall.sh" --yes; says "this host's is 'k8setcd1.isociel.com'"
    code 5 "$BOX/b/rollback.sh"
    code 5 "$BOX/b/verify.sh"
    code 5 "$BOX/b/up.sh"
    stamps >"$BOX/s2"; same "$BOX/s1" "$BOX/s2"
}

# Four generations as a change of the CA goes: A; A and B trusted; certificates of B; B alone.
case_rollback_refuses_a_ca_no_longer_trusted() {
    local ca generation pki
    for ca in A B; do
        certificate "$ca" "$BOX"
        openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=leaf -keyout "$BOX/leaf$ca.key" -out "$BOX/csr" 2>/dev/null
        openssl x509 -req -in "$BOX/csr" -CA "$BOX/$ca.crt" -CAkey "$BOX/$ca.key" -CAcreateserial -days 30 -out "$BOX/leaf$ca.crt" 2>/dev/null
    done
    for generation in 1 2 3 4; do
        bundle "$BOX/b$generation" "$generation"
        pki=$BOX/b$generation/root/etc/etcd/pki
        case $generation in 1) cat "$BOX/A.crt" ;; 4) cat "$BOX/B.crt" ;; *) cat "$BOX/A.crt" "$BOX/B.crt" ;; esac >"$pki/etcd-ca.crt"
        case $generation in 1 | 2) ca=A ;; *) ca=B ;; esac
        cp "$BOX/leaf$ca.crt" "$pki/leaf.crt"; cp "$BOX/leaf$ca.key" "$pki/leaf.key"
        seal "$BOX/b$generation" "$generation"
        code 0 "$BOX/b$generation/install.sh"
    done
    stamps >"$BOX/s1"
    code 6 "$BOX/b4/rollback.sh" --dry-run 2; says 'leaf.crt of generation 2 is signed by a CA that is no longer trusted'
    stamps >"$BOX/s2"; same "$BOX/s1" "$BOX/s2"
    code 6 "$BOX/b4/rollback.sh" 1
    code 0 "$BOX/b4/rollback.sh" 3
    code 6 "$BOX/b4/rollback.sh" 1; says "generation 1 does not trust the CA that signed today's /etc/etcd/pki/leaf.crt"
    code 0 "$BOX/b4/rollback.sh" 2
    code 0 "$BOX/b4/rollback.sh" 1
    code 0 "$BOX/b1/verify.sh"
    [[ -z $(ls /var/lib/khagen/backups | grep -v '^1$') ]] || die "backups that nothing leads to: $(ls /var/lib/khagen/backups)"
}

# Several generations go back in one step: units are restarted once, by what lies between.
case_rollback_over_several_generations() {
    local generation
    for generation in 1 2 3; do
        bundle "$BOX/b$generation" "$generation"
        code 0 "$BOX/b$generation/install.sh"
        if [[ $generation == 1 ]]; then picture >"$BOX/p1"; fi
    done
    : >"$BOX/calls"
    code 0 "$BOX/b3/rollback.sh" 1
    picture >"$BOX/p2"; same "$BOX/p1" "$BOX/p2"
    [[ $(grep -c '^restart demo.service' "$BOX/calls") == 1 ]] || die "$(grep demo "$BOX/calls")"
    code 0 "$BOX/b1/verify.sh"
}

# systemd ends with 0 when it does not know a key; a drop-in is read with the unit below it; a separate /usr/local is seen;
# reading leaves nothing behind.
case_daemons_read_all_of_it() {
    bundle "$BOX/b" 1
    printf '[Unit]\nDescription=x\n[Service]\nExecStart=/usr/local/bin/ours\nUMusk=0077\n' >"$BOX/b/root/etc/systemd/system/demo2.service"
    mkdir -p "$BOX/b/root/usr/local/bin" "$BOX/b/root/etc/nginx"
    printf '#!/bin/sh\n' >"$BOX/b/root/usr/local/bin/ours"
    printf 'error_log /var/log/nginx/khagen-demo.log;\npid /run/khagen-demo.pid;\nevents {}\n' >"$BOX/b/root/etc/nginx/nginx.conf"
    seal "$BOX/b" 1
    sed -i '/usr.local.bin.ours/s/"mode": "0644"/"mode": "0755"/' "$BOX/b/MANIFEST.json"
    (cd "$BOX/b" && find . -type f ! -name SHA256SUMS -printf '%P\0' | xargs -0 sha256sum >SHA256SUMS)
    mkdir -p /var/log/nginx
    stamps | grep -v /var/lib >"$BOX/s1"
    code 1 "$BOX/b/install.sh"; says 'UMusk'; says 'nothing was touched'
    stamps | grep -v -E '/var/lib|/var/log( |/khagen)' >"$BOX/s2"
    grep -v -E '/var/log( |/khagen)' "$BOX/s1" >"$BOX/s1.cut"
    same "$BOX/s1.cut" "$BOX/s2"
    [[ ! -e /run/khagen-demo.pid ]] || die "nginx -t left its pid file"
    sed -i '/UMusk/d' "$BOX/b/root/etc/systemd/system/demo2.service"
    mkdir -p "$BOX/b/root/etc/systemd/system/nginx.service.d"
    printf '[Service]\nLimitNOFILES=1\n' >"$BOX/b/root/etc/systemd/system/nginx.service.d/demo.conf"
    seal "$BOX/b" 1
    sed -i '/usr.local.bin.ours/s/"mode": "0644"/"mode": "0755"/' "$BOX/b/MANIFEST.json"
    (cd "$BOX/b" && find . -type f ! -name SHA256SUMS -printf '%P\0' | xargs -0 sha256sum >SHA256SUMS)
    code 1 "$BOX/b/install.sh"; says 'nginx.service.d/demo.conf:2: .*LimitNOFILES'
    rm -r "$BOX/b/root/etc/systemd/system/nginx.service.d"
    seal "$BOX/b" 1
    sed -i '/usr.local.bin.ours/s/"mode": "0644"/"mode": "0755"/' "$BOX/b/MANIFEST.json"
    (cd "$BOX/b" && find . -type f ! -name SHA256SUMS -printf '%P\0' | xargs -0 sha256sum >SHA256SUMS)
    code 0 "$BOX/b/install.sh"
    ! grep 'no overlay' "$BOX/err" || die "no overlay"
}

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
    mkdir -p tmpfiles.d demo/deep/er
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
# whole WHERE: the host is as OLD or NEW says, or the script has said what finishes the job, which then does it.
whole() {
    local said
    if [[ ! -f /var/lib/khagen/pending ]]; then
        shape >"$BOX/now"
        if cmp -s "$BOX/now" "$BOX/old" || cmp -s "$BOX/now" "$BOX/new"; then return 0; fi
        diff "$BOX/old" "$BOX/now" || :
        die "neither old nor new, and nobody says so: $1"
    fi
    # verify.sh, which monitoring runs, says it as well
    said=$("$BOX/b1/verify.sh" --quiet 2>&1) && die "$1: verify.sh finds nothing wrong"
    [[ $said == *'finish it with '*'/rollback.sh --resume'* ]] || die "$1: nobody says how to finish: $said"
}
# each FAULT SCRIPT...: that fault after every change of the script. MEND brings the host back to where the script starts.
each() {
    local fault=$1 n=0 codes=''
    shift
    while :; do
        n=$((n + 1))
        struck "$fault" "$n" "$@"
        if [[ -z $STRUCK ]]; then break; fi
        case $CODE in 0 | 1 | 137) codes="$codes $CODE" ;; *) cat "$BOX/err"; die "$fault after $STRUCK: ended with $CODE" ;; esac
        whole "$fault after change $n, $STRUCK"
        "$MEND" "$n"
    done
    [[ $CODE -eq 0 && $n -gt ${LEAST:-20} ]] || { cat "$BOX/err"; die "$*: $CODE after $n changes"; }
    printf '%s: %s after each of %s changes:%s\n' "$*" "$fault" "$((n - 1))" "$codes" | tee -a "$BOX/figures"
}

# By turns: the command that was named, or the same run again, which then goes back again.
mend_install() {
    if (($1 % 2)); then
        code 0 "$BOX/b1/rollback.sh" --resume
        if [[ ! -f $BOX/new.receipt ]] && cmp -s <(shape) "$BOX/new"; then code 0 "$BOX/b2/rollback.sh" 1; fi
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
case_faults_install_disk_full() { generations; MEND=mend_install each full "$BOX/b2/install.sh"; }
case_faults_install_root_read_only() {
    generations
    MEND=mend_install each ro "$BOX/b2/install.sh"
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
    code 0 "$BOX/b2/install.sh"
}
case_faults_rollback_killed() {
    generations
    code 0 "$BOX/b2/install.sh"
    MEND=mend_rollback LEAST=10 each kill "$BOX/b2/rollback.sh" 1
}

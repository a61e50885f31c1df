# shellcheck shell=bash
# Cases of the operator's scripts: ssh is a stub that runs the remote words in busybox's shell, as
# root of this very sandbox; kubectl is a stub that keeps what it is given.

operator() {
    mkdir -p "$BOX/built/bundles/operator/etcd"
    OP=$BOX/built/bundles/operator
    cp "$BOX"/scripts/operator/* "$OP/"
    {
        printf 'k8setcd1.isociel.com\t192.168.13.35\troot\t22\tetcd\t-\tk8setcd1.isociel.com\t-\n'
        printf 'k8smaster1.isociel.com\t192.168.13.61\tadmin\t2222\tcontrol-plane\tinit\tk8smaster1.isociel.com\t-\n'
        printf 'k8smaster2.isociel.com\t192.168.13.62\troot\t22\tcontrol-plane\tjoin\tk8smaster2.isociel.com\t-\n'
        printf 'k8sworker1.isociel.com\t192.168.13.65\troot\t22\tworker\tjoin\tk8sworker1.isociel.com\tdisk=ssd,zone=a\n'
        printf 'k8svrrp1.isociel.com\t192.168.13.71\troot\t22\tload-balancer\t-\tk8svrrp1.isociel.com\t-\n'
    } >"$OP/hosts.tsv"
    echo abcdef.0123456789abcdef >"$OP/bootstrap-token"
    echo https://192.168.13.35:2379 >"$OP/etcd/endpoints"
    cat >/usr/local/sbin/ssh <<STUB
#!/bin/bash
echo "ssh \$*" >>$BOX/calls
while [[ \$1 != -- ]]; do shift; done
shift
if [[ -f $BOX/ssh-fails && \$1 == *\$(<"$BOX/ssh-fails")* ]]; then exit 255; fi
shift
exec busybox sh -c "\$*"
STUB
    cat >/usr/local/sbin/sudo <<STUB
#!/bin/sh
[ "\$1" = -n ] || exit 9
shift
exec "\$@"
STUB
    cat >/usr/local/sbin/kubectl <<STUB
#!/bin/bash
echo "kubectl \$*" >>$BOX/calls
case "\$*" in
    *' get secret '*) [[ -f $BOX/secret ]] ;;
    *' create -f -'* | *' replace -f -'*) cat >$BOX/secret ;;
    *' get node '*) [[ "\$*" != *k8sworker9* && ! -f $BOX/no-nodes ]] ;;
    *' get nodes '*) echo "NAME STATUS"; echo "k8sworker1 Ready" ;;
esac
STUB
    chmod 0755 /usr/local/sbin/{ssh,sudo,kubectl}
    # tarballs whose scripts only write down that they ran
    local fqdn script
    for fqdn in $(cut -f 1 "$OP/hosts.tsv"); do
        mkdir -p "$BOX/t/$fqdn/root"
        for script in install up verify; do
            printf '#!/bin/sh\necho "%s %s.sh $*" >>%s/ran\nif [ -f %s/code.%s.%s ]; then exit $(cat %s/code.%s.%s); fi\n' "$fqdn" "$script" "$BOX" "$BOX" "$fqdn" "$script" "$BOX" "$fqdn" "$script" >"$BOX/t/$fqdn/$script.sh"
            chmod 0700 "$BOX/t/$fqdn/$script.sh"
        done
        tar -C "$BOX/t" -czf "$BOX/built/bundles/$fqdn.tar.gz" "$fqdn"
    done
    (cd "$BOX/built" && sha256sum bundles/*.tar.gz >SHA256SUMS)
}

case_operator_distributes() {
    operator
    code 2 "$OP/distribute.sh" --dry-run
    ! grep '^ssh ' "$BOX/calls" || die "a dry run spoke to a host"
    [[ $(grep -c 'tar -xzpf' "$BOX/out") == 5 ]] || die "not every command was printed"
    code 0 "$OP/distribute.sh"
    [[ -x /var/lib/khagen/incoming/k8sworker1.isociel.com/install.sh ]] || die "not there"
    [[ $(stat -c %a /var/lib/khagen/incoming) == 700 ]] || die mode
    grep -E 'ssh .*-p 2222 -- admin@192.168.13.61 sudo -n sh -c' "$BOX/calls"
    # again, with a file less: no file of the former bundle stays
    touch /var/lib/khagen/incoming/k8sworker1.isociel.com/stale
    code 0 "$OP/distribute.sh" --host k8sworker1
    [[ ! -e /var/lib/khagen/incoming/k8sworker1.isociel.com/stale ]] || die stale
    code 64 "$OP/distribute.sh" --host nobody
    echo 192.168.13.62 >"$BOX/ssh-fails"
    code 1 "$OP/distribute.sh"; says 'k8smaster2.isociel.com: FAILED'; says '1 hosts'
    rm "$BOX/ssh-fails"
    echo x >>"$BOX/built/bundles/k8setcd1.isociel.com.tar.gz"
    code 4 "$OP/distribute.sh"; says 'not the one'
    rm "$BOX/built/bundles/k8setcd1.isociel.com.tar.gz"
    code 6 "$OP/distribute.sh"; says 'missing'
}

case_operator_brings_up_in_order() {
    operator
    code 0 "$OP/distribute.sh"
    code 2 "$OP/bring-up.sh" --dry-run
    [[ ! -f $BOX/ran ]] || die "a dry run ran something"
    says 'sudo -n /var/lib/khagen/incoming/k8smaster1.isociel.com/up.sh --role control-plane'
    code 0 "$OP/bring-up.sh" --wait 7
    cat >"$BOX/want" <<END
k8setcd1.isociel.com up.sh --role etcd --wait 7
k8svrrp1.isociel.com up.sh --role load-balancer --wait 7
k8smaster1.isociel.com up.sh --role control-plane --wait 7
k8smaster2.isociel.com up.sh --role control-plane --wait 7
k8sworker1.isociel.com up.sh --role worker --wait 7
END
    grep up.sh "$BOX/ran" >"$BOX/got"; same "$BOX/want" "$BOX/got"
    [[ $(grep -c install.sh "$BOX/ran") == 5 ]] || die "installs"
    # a host's refusal is handed on and stops the rest; a tool's code is not taken for one
    : >"$BOX/ran"; echo 6 >"$BOX/code.k8svrrp1.isociel.com.up"
    code 6 "$OP/bring-up.sh"; says 'k8svrrp1.isociel.com: up.sh for load-balancer was refused'
    ! grep 'k8smaster1.*up.sh' "$BOX/ran" || die "went on"
    echo 3 >"$BOX/code.k8svrrp1.isociel.com.up"
    code 1 "$OP/bring-up.sh"
    rm "$BOX/code.k8svrrp1.isociel.com.up"
    : >"$BOX/ran"
    code 0 "$OP/bring-up.sh" --host k8sworker1
    [[ $(wc -l <"$BOX/ran") == 2 ]] || die "more than one host"
}

case_operator_opens_joins() {
    operator
    code 2 "$OP/open-joins.sh" --dry-run
    [[ ! -f $BOX/secret ]] || die "a dry run wrote"
    code 0 "$OP/open-joins.sh"; says 'open with token abcdef'
    grep -Fx '  token-secret: "0123456789abcdef"' "$BOX/secret"
    grep -Fx '  name: bootstrap-token-abcdef' "$BOX/secret"
    grep -E 'kubectl .* create -f -' "$BOX/calls"
    code 0 "$OP/open-joins.sh"
    grep -E 'kubectl .* replace -f -' "$BOX/calls"
    ! grep -F 0123456789abcdef "$BOX/out" "$BOX/err" "$BOX/calls" || die "the secret was shown"
    echo rubbish >"$OP/bootstrap-token"; code 1 "$OP/open-joins.sh"
    rm "$OP/bootstrap-token"; code 6 "$OP/open-joins.sh"
}

case_operator_uploads_the_cas() {
    operator
    mkdir -p /var/lib/khagen/installed
    printf '#!/bin/sh\necho "reconfigure.sh $*" >>%s/ran\nif [ -f %s/code ]; then exit $(cat %s/code); fi\n' "$BOX" "$BOX" "$BOX" >/var/lib/khagen/installed/reconfigure.sh
    chmod 0700 /var/lib/khagen/installed/reconfigure.sh
    : >"$BOX/ran"
    code 64 "$OP/open-joins.sh" --host k8smaster2
    code 64 "$OP/open-joins.sh" --control-planes --host nobody
    code 2 "$OP/open-joins.sh" --control-planes --dry-run
    grep -F -- '-p 2222 -- admin@192.168.13.61 sudo -n /var/lib/khagen/installed/reconfigure.sh upload-certs' "$BOX/out"
    [[ ! -s $BOX/ran && ! -f $BOX/secret ]] || die "a dry run did something"
    code 0 "$OP/open-joins.sh" --control-planes
    says 'k8smaster1.isociel.com: the CAs are in the cluster'; says 'open with token abcdef'
    [[ $(<"$BOX/ran") == 'reconfigure.sh upload-certs' ]] || die "not once"
    # One that is down, or not in the cluster yet, is passed over; any other trouble ends it.
    echo 192.168.13.61 >"$BOX/ssh-fails"
    code 0 "$OP/open-joins.sh" --control-planes; says 'k8smaster2.isociel.com: the CAs are in the cluster'
    code 6 "$OP/open-joins.sh" --control-planes --host k8smaster1; says 'not through this one'
    rm "$BOX/ssh-fails"
    echo 6 >"$BOX/code"; code 6 "$OP/open-joins.sh" --control-planes
    echo 64 >"$BOX/code"; code 1 "$OP/open-joins.sh" --control-planes; says 'ended with 64'
    code 0 "$OP/open-joins.sh"
}

case_operator_labels_and_verifies() {
    operator
    code 2 "$OP/label-workers.sh" --dry-run
    says 'kubectl label node k8sworker1.isociel.com --overwrite node-role.kubernetes.io/worker= disk=ssd zone=a'
    code 0 "$OP/label-workers.sh"
    grep -F 'label node k8sworker1.isociel.com --overwrite node-role.kubernetes.io/worker= disk=ssd zone=a' "$BOX/calls"
    ! grep 'label node k8smaster' "$BOX/calls" || die "labelled a control plane"
    touch "$BOX/no-nodes"; code 6 "$OP/label-workers.sh"; says 'not in the cluster yet'
    code 0 "$OP/distribute.sh"
    code 0 "$OP/verify-cluster.sh" --host k8setcd1
    echo 6 >"$BOX/code.k8setcd1.isociel.com.verify"
    code 6 "$OP/verify-cluster.sh"
    echo 4 >"$BOX/code.k8svrrp1.isociel.com.verify"
    code 4 "$OP/verify-cluster.sh"
    echo 3 >"$BOX/code.k8sworker1.isociel.com.verify"
    code 1 "$OP/verify-cluster.sh"
    code 64 "$OP/verify-cluster.sh" --host nobody
}

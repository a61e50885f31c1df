# shellcheck shell=bash
# Cases of the operator's scripts: ssh is a stub that runs the remote words in busybox's shell, as
# root of this very sandbox; kubectl is a stub that keeps what it is given.

operator() {
    mkdir -p "$BOX/built/bundles/operator/etcd"
    OP=$BOX/built/bundles/operator
    cp "$BOX"/scripts/operator/* "$OP/"
    {
        printf 'k8setcd1.isociel.com\t192.168.13.35\troot\t22\tetcd\t-\tk8setcd1.isociel.com\t-\t-\n'
        printf 'k8smaster1.isociel.com\t192.168.13.61\tadmin\t2222\tcontrol-plane\tinit\tk8smaster1.isociel.com\t-\t-\n'
        printf 'k8smaster2.isociel.com\t192.168.13.62\troot\t22\tcontrol-plane\tjoin\tk8smaster2.isociel.com\t-\t-\n'
        printf 'k8sworker1.isociel.com\t192.168.13.65\troot\t22\tworker\tjoin\tk8sworker1.isociel.com\tdisk=ssd,zone=a\tdedicated=gpu:NoSchedule\n'
        printf 'k8svrrp1.isociel.com\t192.168.13.71\troot\t22\tload-balancer\t-\tk8svrrp1.isociel.com\t-\t-\n'
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
    # Nodes are files, a line each of what they have: "uid X", "label K=V", "taint K=V:E"; so is what was written down.
    local node
    mkdir -p "$BOX/nodes"
    for node in k8smaster1 k8smaster2 k8sworker1; do node_joins "$node.isociel.com" first; done
    cat >/usr/local/sbin/kubectl <<STUB
#!/bin/bash
echo "kubectl \$*" >>$BOX/calls
args=()
for word in "\$@"; do case \$word in --kubeconfig=* | --overwrite) ;; *) args+=("\$word") ;; esac; done
case "\$*" in
    *' get secret '*) [[ -f $BOX/secret ]] ;;
    *' create -f -'* | *' replace -f -'*) cat >$BOX/secret ;;
    *' get nodes -o go-template='*)
        [[ ! -f $BOX/no-answer ]] || exit 1
        cd $BOX/nodes
        for node in *; do if [[ -f \$node ]]; then sed "s/^uid /node \$node /; s/ /\t/" "\$node"; fi; done ;;
    *' get configmap '*) if [[ -f $BOX/record ]]; then echo there; cat $BOX/record; fi ;;
    *' create configmap '*) [[ ! -f $BOX/record ]] || exit 1; : >$BOX/record ;;
    *' patch configmap '*)
        [[ -f $BOX/record ]] || exit 1
        sed -e 's/^{"data": {"//; s/"}}\$//; s/": "/\t/g; s/", "/\n/g' >$BOX/patch
        awk -F '\t' '!(\$1 in seen) { seen[\$1]; print }' $BOX/patch $BOX/record >$BOX/record.new
        mv $BOX/record.new $BOX/record ;;
    *' label node '* | *' taint node '*)
        node=$BOX/nodes/\${args[2]}
        [[ -f \$node ]] || exit 1
        if [[ -f $BOX/kubectl-fails && "\$*" == *\$(<"$BOX/kubectl-fails")* ]]; then exit 1; fi
        for word in "\${args[@]:3}"; do
            # what is of this key (and effect) goes, and the new one comes
            case \$word in
                *-) id=\${word%-} new='' ;;
                *) id=\${word%%=*} new="\${args[0]} \$word"
                    if [[ \$word == *:* ]]; then id=\${word%:*} id=\${id%%=*}:\${word##*:}; fi ;;
            esac
            if [[ -z \$new ]] && [[ \${args[0]} == taint ]] && ! grep -q "^taint \${id%:*}[=:]" "\$node"; then exit 1; fi
            awk -v kind="\${args[0]}" -v id="\$id" '{ k = \$2; effect = ""; if (kind == "taint") { effect = k; sub(/.*:/, ":", effect); sub(/:[^:]*\$/, "", k) }; sub(/=.*/, "", k) } !(\$1 == kind && k effect == id)' "\$node" >$BOX/node.new
            if [[ -n \$new ]]; then echo "\$new" >>$BOX/node.new; fi
            cp $BOX/node.new "\$node"
        done ;;
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

# node_joins NAME UID: a node as the kubelet and kubeadm make it.
node_joins() {
    printf 'uid %s\nlabel kubernetes.io/hostname=%s\n' "$2" "$1" >"$BOX/nodes/$1"
    case $1 in *master*) printf 'label node-role.kubernetes.io/control-plane=\ntaint node-role.kubernetes.io/control-plane:NoSchedule\n' >>"$BOX/nodes/$1" ;; esac
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
    # What a dry run prints does the same when it is typed, also through sudo, and from a folder with a blank in its name.
    code 2 "$OP/distribute.sh" --dry-run
    cp "$BOX/out" "$BOX/printed"
    mv "$BOX/calls" "$BOX/calls.before"
    rm -rf /var/lib/khagen/incoming
    bash -eu "$BOX/printed" || die "what was printed does not run"
    [[ $(find /var/lib/khagen/incoming -name install.sh | wc -l) == 5 && -z $(find /var/lib/khagen/incoming -name '.new*') ]] || die "typed, it does something else"
    [[ $(stat -c %a /var/lib/khagen/incoming) == 700 ]] || die "typed, umask was lost"
    sort -u "$BOX/calls.before" >"$BOX/want"
    sort -u "$BOX/calls" >"$BOX/got"
    same "$BOX/want" "$BOX/got"
    mkdir "$BOX/a folder"
    cp "$BOX"/built/bundles/*.tar.gz "$BOX/a folder/"
    code 2 "$OP/distribute.sh" --dry-run --host k8smaster1 --from "$BOX/a folder"
    # -e holds there: nothing is removed when the new folder cannot be unpacked
    sed "s,<.*,</dev/null," "$BOX/out" >"$BOX/printed"
    ! bash -eu "$BOX/printed" 2>/dev/null || die "a failure was passed over"
    [[ -x /var/lib/khagen/incoming/k8smaster1.isociel.com/install.sh ]] || die "-e was lost on the way"
    bash -eu "$BOX/out" || die "a blank in the folder's name"
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

# node_has NODE KIND...: all labels or taints that somebody set, sorted.
node_has() { diff <(printf '%s\n' "${@:2}") <(grep -v -e '^uid ' -e kubernetes.io/hostname -e 'label .*control-plane' "$BOX/nodes/$1.isociel.com" | sort) || die "$1"; }
# inventory HOST LABELS TAINTS: what hosts.tsv says of it from now on.
inventory() { awk -v OFS='\t' -v host="$1.isociel.com" -v labels="$2" -v taints="$3" '$1 == host { $8 = labels; $9 = taints } { $1 = $1; print }' "$OP/hosts.tsv" >"$OP/hosts.new" && mv "$OP/hosts.new" "$OP/hosts.tsv"; }
roles() { sed -i "s/^\($1\.[^\t]*\t[^\t]*\t[^\t]*\t[^\t]*\)\t[^\t]*/\1\t$2/" "$OP/hosts.tsv"; }
nothing_to_do() {
    : >"$BOX/calls"
    code 0 "$OP/label-workers.sh" --dry-run
    code 0 "$OP/label-workers.sh"
    [[ ! -s $BOX/out ]] || die "said something"
    ! grep -E '^kubectl .* (label|taint|create|patch) ' "$BOX/calls" || die "a second run did something"
}
case_operator_labels_and_taints() {
    local role='label node-role.kubernetes.io/worker=' mark='taint node-role.kubernetes.io/control-plane:NoSchedule' node
    operator
    echo 'label theirs=yes' >>"$BOX/nodes/k8sworker1.isociel.com"
    echo 'taint theirs=1:NoExecute' >>"$BOX/nodes/k8sworker1.isociel.com"
    code 2 "$OP/label-workers.sh" --dry-run
    says "label node k8sworker1.isociel.com --overwrite node-role.kubernetes.io/worker= disk=ssd zone=a$"
    says 'taint node k8sworker1.isociel.com --overwrite dedicated=gpu:NoSchedule$'
    says 'k8sworker1.isociel.com: what khagen set before is not known yet.*: theirs=yes theirs=1:NoExecute$'
    ! grep 'node k8smaster' "$BOX/out" || die "control planes"
    [[ ! -f $BOX/record ]] || die "a dry run wrote"
    cp -r "$BOX/nodes" "$BOX/before"
    # what is printed is what is done
    code 0 "$OP/label-workers.sh"
    cp -r "$BOX/nodes" "$BOX/done"
    cp "$BOX"/before/* "$BOX/nodes/"; rm "$BOX/record"
    code 2 "$OP/label-workers.sh" --dry-run
    bash -eu "$BOX/out"
    diff -r "$BOX/done" "$BOX/nodes"
    code 0 "$OP/label-workers.sh"
    node_has k8sworker1 'label disk=ssd' "$role" 'label theirs=yes' 'label zone=a' 'taint dedicated=gpu:NoSchedule' 'taint theirs=1:NoExecute'
    node_has k8smaster1 "$mark"
    nothing_to_do
    # Another value, one that goes, one that comes; of a taint too. What others set stays.
    inventory k8sworker1 disk=hdd,new= dedicated=gpu:NoExecute,new:NoSchedule
    code 0 "$OP/label-workers.sh"
    node_has k8sworker1 'label disk=hdd' 'label new=' "$role" 'label theirs=yes' 'taint dedicated=gpu:NoExecute' 'taint new:NoSchedule' 'taint theirs=1:NoExecute'
    nothing_to_do
    # What somebody has given another value since is not ours to remove.
    sed -i 's/^label disk=.*/label disk=tape/' "$BOX/nodes/k8sworker1.isociel.com"
    inventory k8sworker1 - -
    code 0 "$OP/label-workers.sh"; says 'disk=hdd, which khagen had set, is disk=tape by now: it stays'
    node_has k8sworker1 'label disk=tape' "$role" 'label theirs=yes' 'taint theirs=1:NoExecute'
    nothing_to_do
    # no worker any more
    roles k8sworker1 etcd
    code 0 "$OP/label-workers.sh"
    node_has k8sworker1 'label disk=tape' 'label theirs=yes' 'taint theirs=1:NoExecute'
    roles k8sworker1 worker
    # A run that ends in the middle: the next one knows what is its own, whether the inventory still has it or not.
    inventory k8sworker1 one=1 two=2:NoSchedule
    echo 'taint node' >"$BOX/kubectl-fails"
    code 1 "$OP/label-workers.sh"
    rm "$BOX/kubectl-fails"
    node_has k8sworker1 'label disk=tape' "$role" 'label one=1' 'label theirs=yes' 'taint theirs=1:NoExecute'
    inventory k8sworker1 - -
    code 0 "$OP/label-workers.sh"
    node_has k8sworker1 'label disk=tape' "$role" 'label theirs=yes' 'taint theirs=1:NoExecute'
    # A node of that name that joined anew has nothing of ours.
    inventory k8sworker1 one=1 -
    code 0 "$OP/label-workers.sh"
    node_joins k8sworker1.isociel.com second
    echo 'label one=1' >>"$BOX/nodes/k8sworker1.isociel.com"
    inventory k8sworker1 - -
    code 0 "$OP/label-workers.sh"; says 'remove it by hand.*: one=1$'
    node_has k8sworker1 "$role" 'label one=1'
    nothing_to_do
}
case_operator_marks_control_planes() {
    local mark='taint node-role.kubernetes.io/control-plane:NoSchedule'
    operator
    # somebody let pods onto this one: where the inventory says nothing, nor does khagen
    sed -i '/^taint/d' "$BOX/nodes/k8smaster2.isociel.com"
    code 0 "$OP/label-workers.sh"
    node_has k8smaster1 "$mark"
    ! grep ^taint "$BOX/nodes/k8smaster2.isociel.com" || die "tainted"
    nothing_to_do
    # the inventory decides: none, and another one beside it
    inventory k8smaster1 - none
    inventory k8smaster2 - "${mark#taint },team=ops:PreferNoSchedule"
    code 0 "$OP/label-workers.sh"
    ! grep ^taint "$BOX/nodes/k8smaster1.isociel.com" || die "not removed"
    node_has k8smaster2 "$mark" 'taint team=ops:PreferNoSchedule'
    nothing_to_do
    # and no longer decides: as kubeadm does
    inventory k8smaster1 - -
    inventory k8smaster2 - -
    code 0 "$OP/label-workers.sh"
    node_has k8smaster1 "$mark"; node_has k8smaster2 "$mark"
    nothing_to_do
    # a worker as well, whose taints khagen renders as none
    roles k8smaster1 control-plane,worker
    inventory k8smaster1 - none
    code 0 "$OP/label-workers.sh"
    node_has k8smaster1 'label node-role.kubernetes.io/worker='
    nothing_to_do
}

case_operator_labels_and_verifies() {
    operator
    code 2 "$OP/label-workers.sh" --dry-run
    code 0 "$OP/label-workers.sh"
    rm "$BOX/nodes/k8sworker1.isociel.com"; code 6 "$OP/label-workers.sh"; says 'not in the cluster yet'
    code 0 "$OP/label-workers.sh" --host k8smaster1
    touch "$BOX/no-answer"; code 6 "$OP/label-workers.sh"; says 'does not answer'
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

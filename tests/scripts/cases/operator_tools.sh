# shellcheck shell=bash
# The bastion's scripts, and what a stick carries: each of their commands made to fail. What a remote command ends with is the host's
# own word; the stand-in of ssh takes it along as ssh does.

same_fleet() { : >"$BOX/calls"; }
# All of them have their bundle, whole, whichever run it was that brought it.
bundles_are_there() {
    local fqdn
    code 0 "$OP/distribute.sh"
    for fqdn in $(cut -f 1 "$OP/hosts.tsv"); do
        [[ -x /var/lib/khagen/incoming/$fqdn/install.sh ]] || die "${FAILED_AT-}: $fqdn has no bundle"
    done
    [[ $(</var/lib/khagen/incoming/packages/5678-two) == two && -z $(find /var/lib/khagen/incoming -name '.new*') ]] || die "${FAILED_AT-}: half sent"
    rm -rf /var/lib/khagen/incoming
    same_fleet
}
case_faults_tools_of_operator_distribute() {
    operator
    set +x
    mkdir "$BOX/built/packages"
    echo two >"$BOX/built/packages/5678-two"
    printf '# fqdn\tsha256\tsize\tfile in packages/\nk8setcd1.isociel.com\t%s\t4\t5678-two\n' "$(sha256sum <"$BOX/built/packages/5678-two" | cut -c 1-64)" >"$OP/packages.tsv"
    LEAST=3 AFTER=bundles_are_there tools "$OP/distribute.sh"
}
case_faults_tools_of_operator_bring_up() {
    operator
    set +x
    code 0 "$OP/distribute.sh"
    LEAST=1 AFTER=same_fleet tools "$OP/bring-up.sh" --wait 7
    LEAST=1 AFTER=same_fleet tools "$OP/bring-up.sh" --host k8sworker1 --host k8setcd1.isociel.com
}
case_faults_tools_of_operator_verifies() {
    operator
    set +x
    printf '#!/bin/sh\nexit 0\n' >/usr/local/sbin/etcdctl
    chmod 0755 /usr/local/sbin/etcdctl
    code 0 "$OP/distribute.sh"
    LEAST=3 AFTER=same_fleet tools "$OP/verify-cluster.sh"
    LEAST=1 AFTER=same_fleet tools "$OP/verify-cluster.sh" --host k8setcd1
}
# Run again, all is in line; then it is as before.
labelled_anew() {
    code 0 "$OP/label-workers.sh"
    grep -F -x -q -e 'label zone=a' "$BOX/nodes/k8sworker1.isociel.com" || die "${FAILED_AT-}: not labelled"
    grep -F -x -q -e 'taint dedicated=gpu:NoSchedule' "$BOX/nodes/k8sworker1.isociel.com" || die "${FAILED_AT-}: not tainted"
    ! grep -q old "$BOX/nodes/k8sworker1.isociel.com" || die "${FAILED_AT-}: not removed"
    labelled_before
}
labelled_before() {
    node_joins k8sworker1.isociel.com first
    printf 'label old=1\ntaint old:NoExecute\n' >>"$BOX/nodes/k8sworker1.isociel.com"
    printf 'k8sworker1.isociel.com\tfirst old=1 old:NoExecute\n' >"$BOX/record"
    same_fleet
}
case_faults_tools_of_operator_labels() {
    operator
    set +x
    labelled_before
    LEAST=1 AFTER=labelled_anew tools "$OP/label-workers.sh"
}
# A token never gets in without an end.
secret_ends() {
    # kubectl refuses an empty one
    if [[ -s $BOX/secret ]]; then grep -E -x '  expiration: "20[0-9T:-]+Z"' "$BOX/secret" >/dev/null || die "${FAILED_AT-}: $(<"$BOX/secret")"; fi
    rm -f "$BOX/secret"
    : >"$BOX/calls"
}
case_faults_tools_of_operator_opens_joins() {
    operator
    set +x
    LEAST=2 AFTER=secret_ends tools "$OP/open-joins.sh"
}

# A rollout of every kind of step and gate; openssl answers for etcd and the API.
operator_rolls_out() {
    local fqdn
    operator
    set +x
    code 0 "$OP/distribute.sh"
    printf '{\n"schema": "khagen-manifest/v1",\n"cluster": "k8s-cluster1",\n"clusterId": "f4bb",\n"host": "operator",\n"endpoint": "k8sapi.isociel.com:6443",\n"files": [\n]\n}\n' >"$OP/MANIFEST.json"
    printf '    certificate-authority-data: %s\n' "$(echo CA | base64)" >"$OP/admin.conf"
    touch "$OP"/etcd/{ca.crt,operator.crt,operator.key}
    printf 'k8setcd1.isociel.com\nk8setcd2.isociel.com\nk8setcd3.isociel.com\n' >"$BOX/members"
    echo https://192.168.13.35:2379 >"$OP/etcd/endpoints"
    for fqdn in $(cut -f 1 "$OP/hosts.tsv"); do
        mkdir -p "$BOX/t/$fqdn/root/etc/kubernetes"
        printf '{\n"addresses": ["192.168.13.61"],\n"files": [\n]\n}\n' >"$BOX/t/$fqdn/MANIFEST.json"
        printf 'localAPIEndpoint:\n  bindPort: 6444\n' >"$BOX/t/$fqdn/root/etc/kubernetes/kubeadm.yaml"
        cp "$BOX/t/$fqdn/verify.sh" "$BOX/t/$fqdn/reconfigure.sh"
        cp "$BOX/t/$fqdn/verify.sh" "$BOX/t/$fqdn/uninstall.sh"
        (cd "$BOX/t/$fqdn" && find . -type f ! -name SHA256SUMS -printf '%P\n' | sort | xargs sha256sum >SHA256SUMS)
        tar -C "$BOX/t" -czf "$BOX/built/bundles/$fqdn.tar.gz" "$fqdn"
    done
    (cd "$BOX/built" && sha256sum bundles/*.tar.gz >SHA256SUMS)
    code 0 "$OP/distribute.sh"
    mkdir -p /var/lib/khagen/installed
    cp "$BOX/t/k8setcd1.isociel.com/verify.sh" /var/lib/khagen/installed/
    cat >/usr/local/sbin/openssl <<STUB
#!/bin/bash
request=\$(cat)
case "\$request" in
    *member/list*) printf '{"header":{},"members":[%s]}' "\$(awk '{ sub(/\\..*/, ""); printf "%s{\"ID\":\"%d\",\"name\":\"%s\",\"peerURLs\":[\"https://p:2380\"],\"clientURLs\":[\"https://192.168.13.35:2379\"]}", (NR > 1 ? "," : ""), NR, \$1 }' $BOX/members)" ;;
    *' /health '*) printf '{"health":"true"}' ;;
    *) printf 'HTTP/1.0 200 OK\r\n\r\nok' ;;
esac
STUB
    cat >/usr/local/sbin/kubectl <<STUB
#!/bin/bash
case "\$*" in
    *jsonpath*) echo True ;;
    *' get nodes -o go-template='*) printf 'node\tk8smaster1.isociel.com first\nnode\tk8sworker1.isociel.com first\n' ;;
esac
STUB
    cat >/usr/local/sbin/etcdctl <<STUB
#!/bin/bash
case "\$*" in
    *'member list') awk '{ sub(/\\..*/, ""); printf "%x, started, %s, https://p:2380, https://c:2379, false\n", NR, \$1 }' $BOX/members ;;
    *'member remove '*) sed -i "\${*: -1}d" $BOX/members ;;
esac
STUB
    printf '#!/bin/sh\nexec /bin/sleep 0.02\n' >/usr/local/sbin/sleep
    chmod 0755 /usr/local/sbin/{openssl,kubectl,etcdctl,sleep}
    {
        printf '# khagen-rollout\tv1\n# cluster\tk8s-cluster1\n# clusterId\tf4bb\n# etcd\tk8setcd1.isociel.com,k8setcd2.isociel.com,k8setcd3.isociel.com\n'
        printf '1\tinstall\tk8setcd1.isociel.com\tetcd\tverify\tone\n'
        printf '2\treconfigure:control-plane\tk8smaster1.isociel.com\tapi\tapiserver\ttwo\n'
        printf '3\tdrain\tk8sworker1.isociel.com\tnode,vip\t-\tthree\n'
        printf '4\tmember-remove\tk8setcd1.isociel.com\t-\t-\tfour\n'
        printf '5\tlabel\t-\t-\t-\tfive\n'
    } >"$BOX/plan"
}
# Run again, it comes to its end.
rolled_out() {
    code 0 "$OP/rollout.sh" "$BOX/plan" --wait 3
    [[ $(tail -n 1 "$BOX/plan.progress" | cut -f 1,2) == $'5\tdone' ]] || die "${FAILED_AT-}: $(<"$BOX/plan.progress")"
    rm -f "$BOX/plan.progress" "$BOX/plan.log"
    printf 'k8setcd1.isociel.com\nk8setcd2.isociel.com\nk8setcd3.isociel.com\n' >"$BOX/members"
    same_fleet
}
case_faults_tools_of_operator_rollout() {
    operator_rolls_out
    AFTER=rolled_out tools "$OP/rollout.sh" "$BOX/plan" --wait 3
}

# What khagen export puts on a stick, in small: a file whole, one in two parts.
medium() {
    local M=$BOX/medium
    mkdir -p "$M/bundles"
    cp "$SOURCES/import.sh" "$M/import.sh"
    chmod 0755 "$M/import.sh"
    echo 'read me' >"$M/README.md"
    head -c 3000 /dev/zero | tr '\0' a >"$M/bundles/k8setcd1.tar.gz.001"
    echo end >"$M/bundles/k8setcd1.tar.gz.002"
    cat "$M/bundles/k8setcd1.tar.gz.001" "$M/bundles/k8setcd1.tar.gz.002" >"$BOX/whole"
    sum() { sha256sum <"$1" | cut -c 1-64; }
    {
        printf '# khagen-export\tv1\n'
        printf 'file\t0644\tREADME.md\npart\t8\t%s\tREADME.md\nwhole\t%s\t8\n' "$(sum "$M/README.md")" "$(sum "$M/README.md")"
        printf 'file\t0600\tbundles/k8setcd1.isociel.com.tar.gz\npart\t3000\t%s\tbundles/k8setcd1.tar.gz.001\npart\t4\t%s\tbundles/k8setcd1.tar.gz.002\nwhole\t%s\t3004\n' \
            "$(sum "$M/bundles/k8setcd1.tar.gz.001")" "$(sum "$M/bundles/k8setcd1.tar.gz.002")" "$(sum "$BOX/whole")"
    } >"$M/FILES.txt"
    printf 'end\t%s\n' "$(sum "$M/FILES.txt")" >"$BOX/end"
    cat "$BOX/end" >>"$M/FILES.txt"
}
# The folder holds the former import or the new one, and nothing is beside it once another run has ended.
imported_whole() {
    local there=$BOX/in
    if [[ ! -d $BOX/in ]]; then there=$BOX/in.khagen-old; fi
    cmp "$there/bundles/k8setcd1.isociel.com.tar.gz" "$BOX/whole" || die "${FAILED_AT-}: $(ls -d "$BOX"/in*)"
    code 0 "$BOX/medium/import.sh" "$BOX/in"
    [[ $(ls -d "$BOX"/in*) == "$BOX/in" && $(stat -c %a "$BOX/in/bundles/k8setcd1.isociel.com.tar.gz") == 600 ]] || die "${FAILED_AT-}: $(ls -d "$BOX"/in*)"
}
case_faults_tools_of_import() {
    medium
    set +x
    code 0 "$BOX/medium/import.sh" "$BOX/in"
    AFTER=imported_whole tools "$BOX/medium/import.sh" "$BOX/in"
    # a medium that cannot be read is damaged still, and a folder of somebody else's is left alone
    printf 'X' | dd of="$BOX/medium/bundles/k8setcd1.tar.gz.002" conv=notrunc status=none
    code 4 "$BOX/medium/import.sh" "$BOX/in"; says 'k8setcd1.tar.gz.002'
    sed -i 's/0600/0666/' "$BOX/medium/FILES.txt"; code 4 "$BOX/medium/import.sh" "$BOX/in"; says 'FILES.txt is damaged'
    mkdir "$BOX/theirs"; touch "$BOX/theirs/file"
    code 6 "$BOX/medium/import.sh" "$BOX/theirs"; says 'no import'
}

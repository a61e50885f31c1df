#!/bin/bash
# rollout.sh [CASE...]: runs the operator's rollout.sh for real against stand-ins: ssh runs the remote words here, hosts' scripts
# write down that they ran, openssl answers for etcd and the API, kubectl and etcdctl keep what they are told. Each case in
# mount, host name and process namespaces of its own, where /usr/local and /var/lib vanish afterwards. Needs root. Prints
# "N passed, N failed"; exit 1 if any failed.
set -euo pipefail
SELF=$(readlink -f -- "$0")
TESTS=$(dirname -- "$SELF")

if [[ ${1-} != --inside ]]; then
    WORK=$(mktemp -d)
    trap 'rm -rf -- "$WORK"' EXIT
    mkdir "$WORK/mnt" "$WORK/ran"
    "$TESTS/expand.sh" operator/rollout.sh >"$WORK/rollout.sh"
    passed=0 failed=0
    cases=("$@")
    if [[ $# -eq 0 ]]; then mapfile -t cases < <(sed -n 's/^case_\([a-z0-9_]*\)().*/\1/p' "$SELF"); fi
    for name in "${cases[@]}"; do
        while [[ $(jobs -r -p | wc -l) -ge 4 ]]; do wait -n || :; done
        # What runs in the background ignores Ctrl-C, and what ignored a signal when it began cannot trap it: here it is a case.
        (env --default-signal=INT unshare --mount --uts --pid --fork --mount-proc "$SELF" --inside "$WORK" "$name" >"$WORK/log.$name" 2>&1 && echo 0 >"$WORK/code.$name") &
    done
    wait
    for name in "${cases[@]}"; do
        if [[ $(cat "$WORK/code.$name" 2>/dev/null) == 0 ]]; then passed=$((passed + 1)); continue; fi
        failed=$((failed + 1))
        printf 'FAILED %s\n' "$name"
        sed 's/^/    /' "$WORK/log.$name" | tail -n 30
    done
    if [[ -n ${KHAGEN_RAN-} ]]; then cat "$WORK"/ran/* >>"$KHAGEN_RAN"; fi
    printf '%s passed, %s failed\n' "$passed" "$failed"
    [[ $failed -eq 0 ]]
    exit
fi

# ---- inside the namespaces ----
WORK=$2
BOX=$WORK/mnt
mount -t tmpfs tmpfs "$BOX"
for dir in usr/local usr/bin var/lib; do
    mkdir -p "$BOX/upper/$dir" "$BOX/work/$dir"
    mount -t overlay -o "lowerdir=/$dir,upperdir=$BOX/upper/$dir,workdir=$BOX/work/$dir" overlay "/$dir"
done
# The machine's own, if it has them.
rm -f /usr/bin/kubectl /usr/bin/etcdctl
# shellcheck source=fixture.sh
source "$TESTS/fixture.sh"

D=isociel.com
HOSTS=("k8setcd1.$D" "k8setcd2.$D" "k8setcd3.$D" "k8svrrp1.$D" "k8smaster1.$D" "k8sworker1.$D" "k8sworker2.$D" "k8sworker3.$D" "k8setcd4.$D")

# stand_in NAME: a program that is out of sight of the cases.
stand_in() { { echo '#!/bin/bash'; cat; } >"/usr/local/sbin/$1"; chmod 0755 "/usr/local/sbin/$1"; }
# stub NAME: one that writes down its call, counts, and kills rollout.sh at the call that is asked for.
stub() {
    cat >"/usr/local/sbin/$1" <<STUB
#!/bin/bash
exec 7>>$BOX/calls.lock
flock 7
n=\$((\$(cat $BOX/count 2>/dev/null || echo 0) + 1))
echo "\$n" >$BOX/count
echo "$1 \$*" >>$BOX/calls
exec 7>&-
if [[ -f $BOX/kill-at && \$n == "\$(cut -d ' ' -f 2 $BOX/kill-at)" ]]; then
    kill "-\$(cut -d ' ' -f 1 $BOX/kill-at)" "\$(<"$BOX/pid")"
    rm -f $BOX/kill-at
fi
STUB
    cat >>"/usr/local/sbin/$1"
    chmod 0755 "/usr/local/sbin/$1"
}
prepare() {
    local fqdn script n=0
    OP=$BOX/bundles/operator
    FILE=$BOX/plan
    mkdir -p "$OP/etcd" /var/lib/khagen/incoming /var/lib/khagen/installed
    install -m 0755 "$WORK/rollout.sh" "$OP/rollout.sh"
    printf '{\n"schema": "khagen-manifest/v1",\n"cluster": "k8s-cluster1",\n"clusterId": "f4bb",\n"host": "operator",\n"endpoint": "k8sapi.%s:6443",\n"files": [\n]\n}\n' "$D" >"$OP/MANIFEST.json"
    printf '#!/bin/bash\necho "bastion label $*" >>%s/ran\nexit "$(cat %s/code.label 2>/dev/null || echo 0)"\n' "$BOX" "$BOX" >"$OP/label-workers.sh"
    chmod 0755 "$OP/label-workers.sh"
    printf '    certificate-authority-data: %s\n' "$(echo CA | base64)" >"$OP/admin.conf"
    printf 'https://192.168.13.1:2379\nhttps://192.168.13.2:2379\nhttps://192.168.13.3:2379\n' >"$OP/etcd/endpoints"
    touch "$OP/etcd/ca.crt" "$OP/etcd/operator.crt" "$OP/etcd/operator.key" "$BOX/ran"
    printf 'k8setcd1\nk8setcd2\nk8setcd3\n' >"$BOX/members"
    for fqdn in "${HOSTS[@]}"; do
        n=$((n + 1))
        local roles=etcd node=-
        case $fqdn in
            k8svrrp*) roles=load-balancer ;;
            k8smaster*) roles=control-plane node=$fqdn ;;
            k8sworker*) roles=worker node=$fqdn ;;
        esac
        printf '%s\t192.168.13.%s\troot\t22\t%s\tjoin\t%s\t-\n' "$fqdn" "$n" "$roles" "$node"
        mkdir -p "$BOX/t/$fqdn/root/etc/kubernetes"
        printf '{\n"addresses": ["192.168.13.%s"],\n"files": [\n]\n}\n' "$n" >"$BOX/t/$fqdn/MANIFEST.json"
        printf 'localAPIEndpoint:\n  bindPort: 6444\n' >"$BOX/t/$fqdn/root/etc/kubernetes/kubeadm.yaml"
        for script in install up verify reconfigure uninstall; do
            cat >"$BOX/t/$fqdn/$script.sh" <<HOST
#!/bin/bash
echo "$fqdn $script \$*" | sed 's/ *\$//' >>$BOX/ran
echo "$script.sh: at work"
if [[ -f $BOX/hold ]]; then
    echo "$fqdn begins" >>$BOX/times
    while [[ -f $BOX/hold ]]; do /bin/sleep 0.02; done
    echo "$fqdn ends" >>$BOX/times
fi
if [[ $script == install && -f $BOX/breaks.$fqdn ]]; then touch "$BOX/sick.192.168.13.$n"; fi
exit "\$(cat "$BOX/code.$fqdn.$script" 2>/dev/null || echo 0)"
HOST
            chmod 0700 "$BOX/t/$fqdn/$script.sh"
        done
        (cd "$BOX/t/$fqdn" && find . -type f -printf '%P\n' | sort | xargs sha256sum >SHA256SUMS)
        tar -C "$BOX/t" -czf "$BOX/bundles/$fqdn.tar.gz" "$fqdn"
        cp -a "$BOX/t/$fqdn" /var/lib/khagen/incoming/
    done >"$OP/hosts.tsv"
    # one that leaves stands apart
    grep "^k8sworker3" "$OP/hosts.tsv" >"$OP/retired.tsv"
    sed -i '/^k8sworker3/d' "$OP/hosts.tsv"
    stub ssh <<'STUB'
while [[ $1 != -- ]]; do shift; done
shift
if [[ -f $BOX/ssh-fails && $1 == *@$(<"$BOX/ssh-fails") ]]; then exit 255; fi
shift
exec busybox sh -c "$*"
STUB
    stub kubectl <<'STUB'
case "$*" in
    *jsonpath*) if [[ -f $BOX/not-ready ]]; then echo False; else echo True; fi ;;
    *) echo "kubectl ${*:2}" >>$BOX/ran ;; # without --kubeconfig
esac
STUB
    stub etcdctl <<'STUB'
case "$*" in
    *'member list') awk '{ printf "%x, started, %s, https://p:2380, https://c:2379, false\n", 2748 + NR, $1 }' $BOX/members ;;
    *'member remove '*)
        if [[ -f $BOX/code.etcdctl ]]; then exit 1; fi
        n=$((16#${*: -1} - 2748)); echo "etcdctl remove $(sed -n "${n}p" $BOX/members)" >>$BOX/ran; sed -i "${n}d" $BOX/members ;;
    *) exit 9 ;;
esac
STUB
    stub sync </dev/null
    stand_in sleep <<'STUB'
exec /bin/sleep 0.05
STUB
    stand_in openssl <<'STUB'
if [[ $1 != s_client ]]; then exec /usr/bin/openssl "$@"; fi
words=" $* "
at=${words#* -connect }
at=${at%% *}
if [[ $words != *' -verify_return_error '* || $words != *' -verify_'[hi]* ]]; then exit 1; fi
if [[ $words != *' -quiet '* ]]; then [[ ! -f $BOX/no-vip ]]; exit; fi
request=$(cat)
if [[ -f $BOX/sick.${at%:*} ]]; then exit 1; fi
case $request in
    *'/v3/cluster/member/list'*)
        if [[ -f $BOX/no-quorum ]]; then exit 0; fi
        printf 'HTTP/1.0 200 OK\r\n\r\n{"header":{"cluster_id":"1"},"members":['
        awk '{ n = substr($1, 8); printf "%s{\"ID\":\"%d\",\"name\":\"%s\",\"peerURLs\":[\"https://192.168.13.%d:2380\"],\"clientURLs\":[\"https://192.168.13.%d:2379\"]}", (NR > 1 ? "," : ""), n, $1, n, n }' $BOX/members
        printf ']}\n' ;;
    *'/health'*) [[ $words == *operator.key* ]] && printf 'HTTP/1.0 200 OK\r\n\r\n{"health":"true","reason":""}' ;;
    *'/readyz'*) if [[ -f $BOX/not-ready.$at ]]; then printf 'HTTP/1.0 500 no\r\n\r\nnot ok\n'; else printf 'HTTP/1.0 200 OK\r\n\r\nok'; fi ;;
esac
STUB
    sed -i "s,\$BOX,$BOX,g" /usr/local/sbin/{ssh,kubectl,etcdctl,openssl}
}
# plan LINE...: a rollout file; blanks become tabs between the first five columns.
plan() {
    local line n=0 action hosts before after note
    {
        printf '# khagen-rollout\tv1\n# cluster\tk8s-cluster1\n# clusterId\tf4bb\n'
        printf '# etcd\t%s\n# step\taction\thosts\tbefore\tafter\tnote\n' "${ETCD-k8setcd1.$D,k8setcd2.$D,k8setcd3.$D}"
        for line in "$@"; do
            n=$((n + 1))
            read -r action hosts before after note <<<"$line"
            hosts=$(sed -E "s/(k8s[a-z]+[0-9])/\1.$D/g" <<<"$hosts")
            printf '%s\t%s\t%s\t%s\t%s\t%s\n' "$n" "$action" "$hosts" "$before" "$after" "$note"
        done
    } >"$FILE"
}
# In the background, so that its process is known; bash then ignores SIGINT in it, so cases send TERM.
rollout() {
    local code=0
    "$OP/rollout.sh" "$FILE" --wait 2 "$@" &
    echo $! >"$BOX/pid"
    wait $! || code=$?
    return "$code"
}
afresh() {
    rm -f "$FILE".progress "$FILE".log "$BOX"/{ran,count,calls,kill-at,times,hold,no-vip,no-quorum,not-ready} "$BOX"/sick.* "$BOX"/code.* "$BOX"/breaks.* "$BOX"/not-ready.*
    printf 'k8setcd1\nk8setcd2\nk8setcd3\n' >"$BOX/members"
    touch "$BOX/ran"
}
untouched() { [[ ! -s $BOX/ran && ! -e $FILE.progress ]] || { cat "$BOX/ran"; die "something was done"; }; }
ran() { printf '%s\n' "$@" | sed -E "s/^(k8s[a-z]+[0-9]) /\1.$D /" >"$BOX/want"; same "$BOX/want" "$BOX/ran"; }

everything() {
    plan 'install k8setcd1 etcd etcd,verify restarts etcd.service' \
        'install k8svrrp1 vip vip,verify reloads nginx.service' \
        'reconfigure:control-plane k8smaster1 etcd,api apiserver,api,node' \
        'install k8sworker1 - verify' \
        'drain k8sworker3 api -' \
        'delete-node k8sworker3 - -' \
        'uninstall k8sworker3 - -' \
        'member-remove k8setcd3 etcd etcd' \
        'up k8setcd4 etcd verify' \
        'uncordon k8sworker1 - node' \
        'label k8sworker1,k8sworker2 - -'
}
EVERYTHING=('k8setcd1 install' 'k8setcd1 verify --quiet' 'k8svrrp1 install' 'k8svrrp1 verify --quiet' 'k8smaster1 reconfigure control-plane --wait 2' 'k8sworker1 install' 'k8sworker1 verify --quiet'
    "kubectl drain k8sworker3.$D --ignore-daemonsets --delete-emptydir-data --timeout=2s" "kubectl delete node k8sworker3.$D --ignore-not-found"
    'k8sworker3 uninstall --yes --reset' 'etcdctl remove k8setcd3' 'k8setcd4 install' 'k8setcd4 up --wait 2' 'k8setcd4 verify --quiet'
    "kubectl uncordon k8sworker1.$D" "bastion label --host k8sworker1.$D --host k8sworker2.$D")

# What a dry run prints does the same when it is typed, also from a folder with a blank in its name.
case_types_what_a_dry_run_prints() {
    prepare; everything
    mv "$BOX/bundles" "$BOX/the bundles"
    OP="$BOX/the bundles/operator"
    sed -i 's/root\t22/admin\t22/' "$OP/hosts.tsv"
    stand_in sudo <<'STUB'
[[ $1 == -n ]] || exit 9
shift
exec "$@"
STUB
    code 2 rollout --dry-run; untouched; says 'sudo -n /var/lib/khagen/incoming/'
    sed 's/ID-OF-k8setcd3$/abf/' "$BOX/out" >"$BOX/printed"
    bash -eu "$BOX/printed"
    local line typed=()
    for line in "${EVERYTHING[@]}"; do if [[ $line != *' verify '* ]]; then typed+=("$line"); fi; done
    ran "${typed[@]}"
}
case_walks_every_action_in_order() {
    prepare; everything
    code 2 rollout --dry-run; untouched
    says 'ssh .* root@192.168.13.1 /var/lib/khagen/incoming/k8setcd1.isociel.com/install.sh'
    says 'reconfigure.sh control-plane'; says 'uninstall.sh --yes'; says 'kubectl .* drain k8sworker3'; says 'member remove ID-OF-k8setcd3'
    says 'step 1: install on k8setcd1.isociel.com, before: etcd, after: etcd,verify \(restarts etcd.service\)'
    [[ ! -e $BOX/calls ]] || die "a dry run spoke to a host"
    code 0 rollout; says 'step 1 of 11: install on k8setcd1.isociel.com: restarts etcd.service'; says 'all 11 steps are done'
    says '3 of 3 members of etcd serve'; says '^k8setcd1.isociel.com: install.sh: at work'
    ran "${EVERYTHING[@]}"
    [[ $(grep -c '' "$FILE.progress") == 24 && $(stat -c %a "$FILE.progress") == 600 ]] || die "$(cat "$FILE.progress")"
    grep -q 'k8setcd1.isociel.com: install.sh: at work' "$FILE.log" || die "the log"
    : >"$BOX/ran"
    code 0 rollout; says 'nothing to do'; [[ ! -s $BOX/ran ]] || die "again"
    code 0 rollout --dry-run
}

# Killed at every call of a program that does or records something, then run again: all is done, in order, and only the step
# that was cut off is done twice. SHARE: each of three cases takes every third place.
killed_anywhere() {
    local share=$1 calls k signal got
    prepare; everything
    code 0 rollout
    calls=$(wc -l <"$BOX/calls")
    [[ $calls -ge 45 ]] || die "too few places: $calls"
    printf '%s\n' "${EVERYTHING[@]}" | sed -E "s/^(k8s[a-z]+[0-9]) /\1.$D /" >"$BOX/want"
    for ((k = share + 1; k <= calls; k += 3)); do
        for signal in KILL TERM; do
            # every place by KILL, some by TERM
            if [[ $signal == TERM && $((k % 8)) -ne 0 ]]; then continue; fi
            afresh
            echo "$signal $k" >"$BOX/kill-at"
            got=0
            rollout >"$BOX/out" 2>"$BOX/err" || got=$?
            if [[ $signal == KILL ]]; then [[ $got == 137 ]] || die "$signal $k: $got"; else [[ $got == 1 || $got == 0 ]] || die "$signal $k: $got"; fi
            # what it had begun on a host ends there
            while pgrep -f /incoming/ >/dev/null; do /bin/sleep 0.02; done
            code 0 rollout
            awk '!seen[$0]++' "$BOX/ran" >"$BOX/got"
            same "$BOX/want" "$BOX/got"
            sort "$BOX/ran" | uniq -d | awk '{ print $1 == "kubectl" || $1 == "etcdctl" ? $3 : $1 }' | sort -u >"$BOX/twice"
            [[ $(wc -l <"$BOX/twice") -le 1 ]] || { cat "$BOX/ran"; die "$signal $k: several steps twice: $(cat "$BOX/twice")"; }
            [[ $(grep -c $'\tdone\t' "$FILE.progress") == 11 ]] || die "$signal $k: not all done"
        done
    done
}
case_goes_on_after_a_kill_1() { killed_anywhere 0; }
case_goes_on_after_a_kill_2() { killed_anywhere 1; }
case_goes_on_after_a_kill_3() { killed_anywhere 2; }

# In the background by itself: bash ignores SIGINT in it, unless it has a group of its own as at a terminal.
begin() { "$OP/rollout.sh" "$FILE" >"$BOX/out" 2>"$BOX/err" & PID=$!; }
until_said() {
    local tries=0
    until grep -q -e "$1" "$2" 2>/dev/null; do
        tries=$((tries + 1))
        [[ $tries -lt 6000 ]] || die "nobody says '$1'"
        /bin/sleep 0.02
    done
}
ended_with() { local got=0; wait "$PID" || got=$?; [[ $got == "$1" ]] || { cat "$BOX/err"; die "ended with $got, not $1"; }; }

case_stops_after_the_step_when_asked() {
    prepare
    plan 'install k8sworker1 - verify' 'install k8sworker2 - -' 'install k8sworker3 - -'
    code 0 rollout --stop-after 1; says 'stopped here as asked'
    ran 'k8sworker1 install' 'k8sworker1 verify --quiet'
    code 0 rollout --stop-after 1; says 'done already'
    # TERM comes while step 2 is at work on its host: the step ends, the next is not begun
    touch "$BOX/hold"
    begin
    until_said 'k8sworker2.*begins' "$BOX/times"
    kill -TERM "$PID"
    until_said 'stopping when' "$BOX/err"
    rm "$BOX/hold"
    ended_with 1; says 'step 2 is done; stopped here'
    ! grep -q k8sworker3 "$BOX/ran" || die "went on"
    # Ctrl-C goes to everything that runs at the terminal, and is a wish to stop like any other
    afresh; touch "$BOX/hold"
    set -m; begin; set +m
    until_said 'k8sworker1.*begins' "$BOX/times"
    kill -INT -- "-$PID"
    until_said 'stopping when' "$BOX/err"
    rm "$BOX/hold"
    ended_with 1; says 'step 1 is done; stopped here'
    ran 'k8sworker1 install' 'k8sworker1 verify --quiet'
    code 0 rollout --stop-after 2
    # twice: at once, and the host goes on
    touch "$BOX/hold"
    begin
    until_said 'k8sworker3.*begins' "$BOX/times"
    kill -TERM "$PID"
    until_said 'stopping when' "$BOX/err"
    kill -TERM "$PID"
    ended_with 1; says 'stopped at once'
    flock -n "$FILE" true || die "what goes on holds the lock"
    rm "$BOX/hold"
    until_said 'k8sworker3.*ends' "$BOX/times"
    code 0 rollout; says 'begun before'
}

case_refuses_before_anything_is_done() {
    prepare; everything
    local good=$BOX/good
    cp "$FILE" "$good"
    sed -i 's/clusterId\tf4bb/clusterId\tf4bc/' "$FILE"; code 5 rollout; untouched; says 'is for cluster k8s-cluster1 \(f4bc\)'
    sed 's/cluster\tk8s-cluster1/cluster\tother/' "$good" >"$FILE"; code 5 rollout; untouched
    sed '1s/v1/v2/' "$good" >"$FILE"; code 64 rollout; untouched
    sed 's/\tdrain\t/\treboot\t/' "$good" >"$FILE"; code 64 rollout; untouched; says "no action 'reboot'"
    sed 's/reconfigure:control-plane/reconfigure:anything/' "$good" >"$FILE"; code 64 rollout; untouched
    sed 's/\tvip\t/\tluck\t/' "$good" >"$FILE"; code 64 rollout; untouched; says "no gate 'luck'"
    sed 's/vip,verify/vip,luck/' "$good" >"$FILE"; code 64 rollout; untouched
    sed '/^7\t/d' "$good" >"$FILE"; code 64 rollout; untouched; says 'line 12'
    sed 's/^7\t/07\t/' "$good" >"$FILE"; code 64 rollout; untouched
    sed 's/^\(7\t[^\t]*\)\t/\1\t\t/' "$good" >"$FILE"; code 64 rollout; untouched
    sed 's/k8sworker2\.isociel/k8sworker9.isociel/' "$good" >"$FILE"; code 5 rollout; untouched; says 'k8sworker9.isociel.com is not in hosts.tsv'
    sed 's/k8sworker1.isociel.com,k8sworker2/k8sworker2.isociel.com,k8sworker2/' "$good" >"$FILE"; code 64 rollout; untouched; says twice
    sed 's/\tdrain\tk8sworker3/\tdrain\tk8setcd2/' "$good" >"$FILE"; code 64 rollout; untouched; says 'is no node'
    sed 's/^4\tinstall\t[^\t]*/4\tinstall\t-/' "$good" >"$FILE"; code 64 rollout; untouched; says 'needs hosts'
    cp "$good" "$FILE"
    code 64 rollout --stop-after 12; code 64 rollout --confirm 0; code 64 rollout --odd; code 64 "$OP/rollout.sh"; code 6 "$OP/rollout.sh" "$BOX/nothing"
    # programs and files, before anything
    mkdir "$BOX/aside"
    mv /usr/local/sbin/kubectl "$BOX/aside/"
    code 6 rollout; untouched; says 'missing on this machine: kubectl'
    mv "$BOX/aside/kubectl" /usr/local/sbin/
    mv /usr/local/sbin/etcdctl "$BOX/aside/"
    code 6 rollout; untouched; says 'missing on this machine: etcdctl'
    mv "$BOX/aside/etcdctl" /usr/local/sbin/
    mv "$OP/admin.conf" "$BOX/aside/"; code 6 rollout; untouched; says 'operator/admin.conf'; mv "$BOX/aside/admin.conf" "$OP/"
    mv "$OP/etcd/operator.key" "$BOX/aside/"; code 6 rollout; untouched; mv "$BOX/aside/operator.key" "$OP/etcd/"
    # a bundle of another build on a host: nothing would be done there, and nobody would notice
    echo x >>/var/lib/khagen/incoming/k8sworker1.isociel.com/SHA256SUMS
    code 6 rollout; untouched; says 'have not got the bundle that is here: k8sworker1.isociel.com'
    cp "$BOX/t/k8sworker1.isociel.com/SHA256SUMS" /var/lib/khagen/incoming/k8sworker1.isociel.com/
    echo 192.168.13.5 >"$BOX/ssh-fails"
    code 6 rollout; untouched; says 'not reached by ssh: k8smaster1.isociel.com'
    rm "$BOX/ssh-fails"
    code 6 rollout --from "$BOX/aside"; untouched; says 'not in .* the tarballs of'
    # a changed file, a foreign or torn progress file
    code 0 rollout --stop-after 2
    : >"$BOX/ran"
    echo '# a word more' >>"$FILE"; code 5 rollout; says 'is not the file that was begun'
    cp "$good" "$FILE"
    printf '5\tdone\t-\n' >>"$FILE.progress"; code 4 rollout
    echo rubbish >"$FILE.progress"; code 4 rollout
    [[ ! -s $BOX/ran ]] || die "went on"
}

case_never_leaves_etcd_without_a_majority() {
    prepare
    plan 'install k8setcd1,k8setcd2 - -'; code 6 rollout; untouched; says '1 of 3 members of etcd would serve meanwhile, 2 are needed'
    code 6 rollout --dry-run
    plan 'install k8setcd1,k8setcd2,k8setcd3 - -'; code 6 rollout --confirm 1; untouched
    plan 'install k8setcd1 - -' 'up k8setcd2,k8setcd3 etcd etcd'; code 6 rollout; untouched; says 'step 2 is refused'
    plan 'reconfigure:certificates k8setcd2,k8setcd3 - -'; code 2 rollout --dry-run
    # taken down and not taken out, it still counts
    plan 'uninstall k8setcd3 - -' 'install k8setcd1 - -'; code 6 rollout; untouched; says 'step 2 is refused'
    plan 'member-remove k8setcd2,k8setcd3 - -'; code 6 rollout; untouched; says 'would leave at once'
    ETCD="k8setcd1.$D,k8setcd2.$D,k8setcd3.$D,k8setcd4.$D,k8sworker3.$D" plan 'install k8setcd1,k8setcd2 - -'; code 2 rollout --dry-run
    # after a removal three are two, which cannot spare any
    plan 'member-remove k8setcd3 - -' 'install k8setcd1 - -'; code 6 rollout; untouched; says 'Say --confirm 2'
    code 0 rollout --confirm 2
    afresh
    plan 'member-remove k8setcd3 - -' 'up k8setcd4 etcd -' 'install k8setcd1 - -'; code 2 rollout --dry-run
    ETCD=k8setcd1.$D plan 'install k8setcd1 - -'; code 6 rollout; untouched; says 'too few members'
    # what etcd itself says counts too, whatever the gates are
    plan 'install k8setcd1 - -'; touch "$BOX/sick.192.168.13.2"
    code 6 rollout; [[ ! -s $BOX/ran ]] || die "went on"; says '1 of 3 members of etcd would serve meanwhile'
    plan 'install k8setcd1 etcd -'; code 6 rollout; [[ ! -s $BOX/ran ]] || die "went on"; says 'not healthy: k8setcd2.isociel.com'
    rm "$BOX/sick.192.168.13.2"
    touch "$BOX/no-quorum"; code 6 rollout; says 'no majority serves'; rm "$BOX/no-quorum"
    code 0 rollout
}

case_a_gate_that_does_not_hold_ends_it() {
    prepare
    plan 'install k8setcd1 etcd etcd,verify' 'install k8setcd2 etcd etcd'
    # the first host's install breaks its member: the second is not touched
    touch "$BOX/breaks.k8setcd1.$D"
    code 6 rollout; says 'step 1: the gate etcd after it does not hold after 2 s: 2 of 3'; ran 'k8setcd1 install'
    # the step that is to cure it may be done again
    code 6 rollout; says 'begun before'; ran 'k8setcd1 install' 'k8setcd1 install'
    rm "$BOX"/breaks.* "$BOX"/sick.*
    code 0 rollout
    afresh; plan 'install k8svrrp1 vip vip' 'install k8sworker1 api apiserver'
    touch "$BOX/no-vip"; code 6 rollout; untouched; says 'the gate vip before it does not hold: no TLS through k8sapi.isociel.com:6443'; rm "$BOX/no-vip"
    touch "$BOX/not-ready.k8sapi.$D:6443"; code 6 rollout; says 'step 2: the gate api before it'; ran 'k8svrrp1 install'; rm "$BOX"/not-ready.*
    touch "$BOX/not-ready.192.168.13.6:6444"; code 6 rollout; says 'the API server of k8sworker1.isociel.com'; rm "$BOX"/not-ready.*
    code 0 rollout
    afresh; plan 'install k8sworker1,k8sworker2 - verify,node'
    echo 1 >"$BOX/code.k8sworker2.$D.verify"; code 6 rollout; says 'verify.sh on k8sworker2.isociel.com'
    echo 4 >"$BOX/code.k8sworker2.$D.verify"; code 4 rollout; rm "$BOX"/code.*
    touch "$BOX/not-ready"; code 6 rollout; says 'node k8sworker1.isociel.com is not Ready'; rm "$BOX/not-ready"
    code 0 rollout
    # before a step, the host is asked by what is installed there
    afresh; plan 'install k8sworker1 verify -'
    printf '#!/bin/sh\nexit 4\n' >/var/lib/khagen/installed/verify.sh; chmod 0700 /var/lib/khagen/installed/verify.sh
    code 4 rollout; untouched
}

case_a_host_that_refuses_ends_it() {
    local n
    prepare
    for n in 2 3 4 5 6; do
        afresh; plan 'install k8sworker1 - -' 'install k8sworker2,k8sworker3 - verify' 'install k8svrrp1 - -'
        echo "$n" >"$BOX/code.k8sworker2.$D.install"
        local want=$n
        if [[ $n -lt 4 ]]; then want=1; fi
        code "$want" rollout; says "install.sh on k8sworker2.isociel.com ended with $n; its reason is above and in /var/log/khagen/install.log there"
        ! grep -q -e k8svrrp1 -e verify "$BOX/ran" || die "went on"
        rm "$BOX"/code.*
        code 0 rollout
        [[ $(grep -c k8sworker1 "$BOX/ran") == 1 ]] || die "step 1 again"
    done
    afresh; plan 'reconfigure:upgrade k8smaster1 - -'
    echo 6 >"$BOX/code.k8smaster1.$D.reconfigure"; code 6 rollout; says 'reconfigure.sh on k8smaster1.* /var/log/khagen/reconfigure.log'
    afresh; plan 'up k8smaster1 - -'
    echo 5 >"$BOX/code.k8smaster1.$D.install"; code 5 rollout; ran 'k8smaster1 install'
    # members leave one after the other: when one cannot, the next does not
    afresh; ETCD="k8setcd1.$D,k8setcd2.$D,k8setcd3.$D,k8setcd4.$D,k8svrrp1.$D" plan 'member-remove k8setcd2,k8setcd3 - -'
    touch "$BOX/code.etcdctl"; code 1 rollout; says 'not begun: k8setcd3.isociel.com'; says 'member-remove for k8setcd2.isociel.com failed'
    [[ $(grep -c 'member remove' "$BOX/calls") == 1 ]] || die "both"
    rm "$BOX"/code.*; code 0 rollout; ran 'etcdctl remove k8setcd2' 'etcdctl remove k8setcd3'
    afresh; plan 'label k8sworker1 - -'; echo 6 >"$BOX/code.label"; code 6 rollout
}

case_hosts_of_a_step_are_done_together() {
    local n
    prepare
    plan 'install k8sworker1,k8sworker2,k8sworker3 - -' 'install k8svrrp1 - -'
    touch "$BOX/hold"
    begin
    for n in 1 2 3; do until_said "k8sworker$n.*begins" "$BOX/times"; done
    ! grep -q k8svrrp1 "$BOX/times" || die "the next step did not wait"
    # a second one with the same file, meanwhile, is refused
    code 6 rollout; says 'another rollout.sh'
    rm "$BOX/hold"
    ended_with 0
    ran_once "k8sworker[123]" 3; ran_once k8svrrp1 1
}
ran_once() { [[ $(grep -c "$1.*install" "$BOX/ran") == "$2" ]] || die "$1: $(cat "$BOX/ran")"; }

case_what_is_yours_to_do_waits_for_you() {
    prepare
    plan 'install k8sworker1 - -' 'manual - - api upgrade the network plugin' 'install k8sworker2 - -'
    code 6 rollout; says 'step 2 is yours to do: upgrade the network plugin. Then run this again with --confirm 2'
    ran 'k8sworker1 install'
    code 6 rollout --confirm 3
    touch "$BOX/not-ready.k8sapi.$D:6443"; code 6 rollout --confirm 2; rm "$BOX"/not-ready.*
    code 0 rollout --confirm 2
    ran 'k8sworker1 install' 'k8sworker2 install'
}

mkdir "$BOX/executed"
cp "$(command -v busybox)" "$BOX/executed/busybox"
export BASH_ENV=$TESTS/record.sh KHAGEN_RAN_IN=$BOX/executed
set -x
"case_$3"
rm "$BOX/executed/busybox"
find "$BOX/executed" -type f -exec cat {} + >"$WORK/ran/$3"

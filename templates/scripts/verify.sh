#!/bin/bash
# Usage: verify.sh [--quiet]
#
# Checks that this host is as its bundle says and does its work: files, folders, units, ports,
# certificates, health. Reads only. After an install a copy lies in /var/lib/khagen/installed.
#
#   --quiet   print only what is wrong
#
# Exit codes, and what a monitoring system (Nagios, Icinga, systemd's OnFailure=) should make of them:
#   0   all is well                                                             OK        0
#   6   not yet: waits for peers or for up.sh, or a certificate ends in 14 days   WARNING   1
#   4   a file, mode or owner is not as it was installed                        WARNING   1
#   1   something does not work (or the check itself failed)                    CRITICAL  2
#   5   another host's or cluster's bundle                                      UNKNOWN   3
#   64  usage                                                                   UNKNOWN   3
# If several hold of one host, 1 wins over 4, and 4 over 6. As a plugin for such a system:
#   sudo -n /var/lib/khagen/installed/verify.sh --quiet
#   case $? in 0) exit 0 ;; 4 | 6) exit 1 ;; 1) exit 2 ;; *) exit 3 ;; esac

# @include prelude.sh
# @include host.sh
# @include compare.sh
# @include probe.sh
# @include parts/packages.sh

QUIET=''
WORST=0

good() { if [[ -z $QUIET ]]; then result "ok       $1"; fi; }
bad() {
    local word
    case $1 in 1) word='FAILS   ' ;; 4) word='DIFFERS ' ;; *) word='WAITS   ' ;; esac
    result "$word $2"
    if [[ $WORST -eq 0 || $1 -eq 1 || ($1 -eq 4 && $WORST -eq 6) ]]; then WORST=$1; fi
}

check_files() {
    local entry path mode owner group policy sha is before=$WORST
    look
    for entry in "${FILES[@]}"; do
        IFS='|' read -r path mode owner group policy sha <<<"$entry"
        # what a one-time step has read may be gone, and what kubeadm rewrites may differ
        if [[ $policy == input ]] && ! there "$path"; then continue; fi
        if [[ -d $path ]]; then bad 4 "$path is a directory"; continue; fi
        file_action "$path" "$mode" "$owner" "$group" "$policy" "$sha"
        is=${IS[$path]-}
        is=${is/% "${is##* }"/:${is##* }}
        case $ACTION in
            '') ;;
            create) bad 4 "$path is missing" ;;
            chmod) bad 4 "$path is $is, should be $mode $owner:$group" ;;
            remove) bad 4 "$path should not be here" ;;
            *) bad 4 "$path is not the file that was installed" ;;
        esac
        if [[ $policy == create-once && -n $is && $is != *" $owner:"* ]]; then
            bad 4 "$path is $is, should belong to $owner"
        fi
    done
    for entry in "${DIRECTORIES[@]}"; do
        IFS='|' read -r path mode owner group <<<"$entry"
        if [[ ! -d $path ]]; then bad 4 "$path is missing"; continue; fi
        is=$(stat -L -c '%04a %U:%G' -- "$path")
        if [[ $is != "$mode $owner:$group" ]]; then bad 4 "$path is $is, should be $mode $owner:$group"; fi
    done
    if [[ $WORST -eq $before ]]; then good "${#FILES[@]} files as installed (generation $GENERATION)"; fi
}

# What travelled beside the bundle.
check_carried() {
    local entry path mode is version before=$WORST
    load_packages
    for entry in "${DEBS_TODO[@]}"; do
        IFS='|' read -r path version _ <<<"$entry"
        bad 4 "package $path is ${IS_INSTALLED[$path]-not installed}, should be $version"
    done
    for entry in "${PROGRAMS_TODO[@]}"; do bad 4 "${entry%%|*} is not the program that was installed"; done
    for entry in "${PROGRAMS[@]}"; do
        IFS='|' read -r path mode _ <<<"$entry"
        if [[ ! -f $path ]]; then continue; fi
        is=$(stat -L -c '%04a %U:%G' -- "$path")
        if [[ $is != "$mode root:root" ]]; then bad 4 "$path is $is, should be $mode root:root"; fi
    done
    if [[ $WORST -eq $before && $((${#DEBS[@]} + ${#PROGRAMS[@]})) -gt 0 ]]; then
        good "${#DEBS[@]} packages and ${#PROGRAMS[@]} programs as installed"
    fi
}

check_units() {
    local entry unit enable start type state sub result
    for entry in "${UNITS[@]}"; do
        IFS='|' read -r unit enable start _ <<<"$entry"
        unit_state "$unit"
        if [[ $enable == true && $ENABLED == no ]]; then bad 1 "$unit is not enabled: it would not start at boot"; fi
        if [[ $start != true ]]; then continue; fi
        type=$(systemctl show -p Type --value "$unit")
        if [[ $type == oneshot ]]; then
            result=$(systemctl show -p Result --value "$unit")
            if [[ $result == success ]]; then good "$unit"; else bad 1 "$unit failed"; fi
            continue
        fi
        state=$(systemctl show -p ActiveState --value "$unit")
        sub=$(systemctl show -p SubState --value "$unit")
        case $unit:$state/$sub in
            *:active/*) good "$unit is active" ;;
            etcd.service:activating/start) bad 6 "etcd waits for its peers" ;;
            etcd.service:inactive/*)
                if [[ $ETCD_STATE == existing ]]; then bad 6 "etcd: run up.sh, which adds this member"; else bad 1 "$unit is $state/$sub"; fi ;;
            *) bad 1 "$unit is $state/$sub" ;;
        esac
    done
}

# openssl_says WORDS... <PEM: its answer to a question, yes or no. Any other end of it is ours.
openssl_says() {
    local code=0
    openssl "$@" >/dev/null 2>&1 || code=$?
    if [[ $code -gt 1 ]]; then finish 1 "openssl $1 ended with $code"; fi
    return "$code"
}
# pem_ok NAME PEM: is the certificate in its time?
pem_ok() {
    local from begins now
    if ! openssl_says x509 -noout <<<"$2"; then bad 1 "$1 holds no certificate"; return 0; fi
    from=$(openssl x509 -noout -startdate <<<"$2")
    begins=$(date -d "${from#*=}" +%s)
    now=$(date +%s)
    if [[ $begins -gt $now ]]; then
        bad 1 "$1 begins only at ${from#*=}: is the clock right?"
    elif ! openssl_says x509 -noout -checkend 0 <<<"$2"; then
        bad 1 "$1 has expired"
    elif ! openssl_says x509 -noout -checkend 1209600 <<<"$2"; then
        bad 6 "$1 ends within 14 days: renew it"
    fi
}

# What kubeadm signs on a control plane where the bundle does not bring it (kubernetes.pki: kubeadm).
SIGNED_HERE='/etc/kubernetes/pki/ca.crt /etc/kubernetes/pki/front-proxy-ca.crt /etc/kubernetes/pki/apiserver.crt
/etc/kubernetes/pki/apiserver-kubelet-client.crt /etc/kubernetes/pki/front-proxy-client.crt /etc/kubernetes/admin.conf
/etc/kubernetes/super-admin.conf /etc/kubernetes/controller-manager.conf /etc/kubernetes/scheduler.conf'

check_certificates() {
    local entry path key pem public private count=0 before=$WORST all=' '
    local -a looked=()
    for entry in "${FILES[@]}"; do looked+=("${entry%%|*}"); all+="${entry%%|*} "; done
    if [[ $(field pki) == kubeadm ]]; then
        for path in $SIGNED_HERE; do if [[ $all != *" $path "* ]]; then looked+=("$path"); fi; done
    fi
    for path in "${looked[@]}"; do
        if [[ ! -f $path ]]; then continue; fi
        case $path in
            *.crt)
                count=$((count + 1))
                pem=$(<"$path")
                pem_ok "$path" "$pem"
                key=${path%.crt}.key
                if [[ ! -f $key ]]; then continue; fi
                # either may be no such thing; then they are no pair
                public=$(openssl x509 -in "$path" -noout -pubkey 2>/dev/null) || if [[ $? -gt 1 ]]; then finish 1 "openssl cannot read $path"; fi
                private=$(openssl pkey -in "$key" -pubout 2>/dev/null) || if [[ $? -gt 1 ]]; then finish 1 "openssl cannot read $key"; fi
                if [[ -z $public || $public != "$private" ]]; then bad 1 "$path and $key are no pair"; fi ;;
            /etc/kubernetes/*.conf)
                pem=$(sed -n 's/^ *client-certificate-data: *//p' -- "$path")
                if [[ -n $pem ]]; then
                    count=$((count + 1))
                    pem=$(base64 -d <<<"$pem" 2>/dev/null) || pem=''
                    pem_ok "$path" "$pem"
                fi ;;
        esac
    done
    if [[ $WORST -eq $before && $count -gt 0 ]]; then good "$count certificates in date, each with its own key"; fi
}

# accepts WHAT HOST PORT
accepts() {
    if connects "$2" "$3"; then good "$1 accepts at $2 port $3"; else bad 1 "$1 does not accept at $2 port $3"; fi
}

check_etcd() {
    local url peer state sub
    url=$(local_client_url)
    peer=$(env_value ETCD_INITIAL_ADVERTISE_PEER_URLS)
    state=$(systemctl show -p ActiveState --value etcd.service)
    sub=$(systemctl show -p SubState --value etcd.service)
    if etcd_healthy_at "$url"; then
        good "etcd at $url is healthy"
        peer=${peer#*://}
        accepts "etcd, for its peers," "$(host_of "$peer")" "$(port_of "$peer")"
    elif [[ $sub == start ]]; then
        bad 6 "etcd at $url has no quorum yet"
    elif [[ $ETCD_STATE == existing && $state == inactive ]]; then
        bad 6 "etcd has not been added to its cluster: run up.sh"
    else
        bad 1 "etcd at $url is not healthy"
    fi
}

check_balancer() {
    local endpoint port address held=''
    endpoint=$(field endpoint)
    port=$(port_of "$endpoint")
    accepts "this balancer" "$OWN" "$port"
    resolve "$(host_of "$endpoint")"
    if [[ -z $ADDRESS ]]; then
        bad 1 "$(host_of "$endpoint") does not resolve"
        return 0
    fi
    if is_ours "$ADDRESS"; then held=', held by this host'; fi
    if connects "$ADDRESS" "$port"; then
        good "$endpoint ($ADDRESS) accepts$held"
    else
        bad 1 "$endpoint ($ADDRESS) does not accept: no balancer holds the address, or nginx does not run there"
    fi
}

check_kubernetes() {
    local port mark
    mark=$(node_mark)
    if [[ ! -f $mark ]]; then
        bad 6 "this node is not in the cluster yet: run up.sh"
        return 0
    fi
    unit_state kubelet.service
    if [[ $RUNNING == yes ]]; then good "kubelet is active"; else bad 1 "kubelet is not active"; fi
    if has roles control-plane; then
        port=$(api_port)
        ask "$OWN" "$port" /readyz
        if says_ok; then good "the API server is ready"; else bad 1 "the API server at $OWN port $port is not ready"; fi
    fi
}

main() {
    local now_installed
    case ${1-} in
        '') ;;
        --quiet | -q) QUIET=yes ;;
        --help | -h) show_usage; finish 0 ;;
        *) show_usage >&2; finish 64 ;;
    esac
    if [[ $# -gt 1 ]]; then show_usage >&2; finish 64; fi
    need_root
    [[ -f $MANIFEST ]] || finish 1 "no MANIFEST.json beside this script"
    check_host
    check_belongs
    load_manifest
    GENERATION=$(field generation)
    ETCD_STATE=$(field etcdState)
    OWN=$(own_address)
    if [[ -f $PENDING ]]; then bad 1 "an install or rollback was cut off: finish it with $HERE/rollback.sh --resume"; fi
    if [[ ! -f $RECEIPT ]]; then
        bad 6 "nothing is installed yet: run install.sh"
        finish "$WORST"
    fi
    now_installed=$(receipt manifest)
    digest "$MANIFEST"
    if [[ $now_installed != "$DIGEST" ]]; then
        now_installed=$(receipt generation)
        bad 4 "generation $now_installed is installed; this folder is generation $GENERATION"
    fi
    check_files
    check_carried
    check_units
    check_certificates
    if has roles etcd; then check_etcd; fi
    if has roles load-balancer; then check_balancer; fi
    if has roles control-plane || has roles worker; then check_kubernetes; fi
    finish "$WORST"
}

main "$@"

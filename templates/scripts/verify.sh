#!/bin/bash
# Usage: verify.sh [--quiet]
#
# Checks that this host is as its bundle says and does its work: files, folders, units, ports,
# certificates, health. Reads only. After an install a copy lies in /var/lib/khagen/installed.
#
#   --quiet   print only what is wrong
#
# Exit codes, and what a monitoring system (Nagios, Icinga) should make of them:
#   0   all is well                                                             OK
#   6   not yet: waits for peers or for up.sh, or a certificate ends in 14 days   WARNING
#   4   a file, mode or owner is not as it was installed                        WARNING
#   1   something does not work (or the check itself failed)                    CRITICAL
#   64  usage                                                                   UNKNOWN
# If several hold, the lowest line of this list wins.

# @include prelude.sh
# @include host.sh
# @include compare.sh
# @include probe.sh

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
    local path mode owner group policy sha count=0 before=$WORST
    while IFS='|' read -r path mode owner group policy sha; do
        count=$((count + 1))
        # what a one-time step has read may be gone, and what kubeadm rewrites may differ
        if [[ $policy == input ]] && ! there "$path"; then continue; fi
        if [[ -d $path ]]; then bad 4 "$path is a directory"; continue; fi
        file_action "$path" "$mode" "$owner" "$group" "$policy" "$sha"
        case $ACTION in
            '') ;;
            create) bad 4 "$path is missing" ;;
            chmod) bad 4 "$path is $(stat -c '%04a %U:%G' -- "$path"), should be $mode $owner:$group" ;;
            remove) bad 4 "$path should not be here" ;;
            *) bad 4 "$path is not the file that was installed" ;;
        esac
        if [[ $policy == create-once && -f $path && $(stat -c %U -- "$path") != "$owner" ]]; then
            bad 4 "$path belongs to $(stat -c %U -- "$path"), not to $owner"
        fi
    done < <(entries files path mode owner group policy sha256)
    while IFS='|' read -r path mode owner group; do
        if [[ ! -d $path ]]; then
            bad 4 "$path is missing"
        elif [[ $(stat -L -c '%04a %U %G' -- "$path") != "$mode $owner $group" ]]; then
            bad 4 "$path is $(stat -L -c '%04a %U:%G' -- "$path"), should be $mode $owner:$group"
        fi
    done < <(entries directories path mode owner group)
    if [[ $WORST -eq $before ]]; then good "$count files as installed (generation $(field generation))"; fi
}

check_units() {
    local unit enable start state
    while IFS='|' read -r unit enable start; do
        if [[ $enable == true ]] && ! unit_enabled "$unit"; then bad 1 "$unit is not enabled: it would not start at boot"; fi
        if [[ $start != true ]]; then continue; fi
        if [[ $(systemctl show -p Type --value "$unit") == oneshot ]]; then
            if [[ $(systemctl show -p Result --value "$unit") == success ]]; then good "$unit"; else bad 1 "$unit failed"; fi
            continue
        fi
        state=$(systemctl show -p ActiveState --value "$unit")/$(systemctl show -p SubState --value "$unit")
        case $unit:$state in
            *:active/*) good "$unit is active" ;;
            etcd.service:activating/start) bad 6 "etcd waits for its peers" ;;
            etcd.service:inactive/*)
                if [[ $(field etcdState) == existing ]]; then bad 6 "etcd: run up.sh, which adds this member"; else bad 1 "$unit is $state"; fi ;;
            *) bad 1 "$unit is $state" ;;
        esac
    done < <(entries units unit enable start)
}

# pem_ok NAME <PEM: is the certificate in its time?
pem_ok() {
    local pem from
    pem=$(cat)
    from=$(openssl x509 -noout -startdate <<<"$pem" 2>/dev/null || :)
    if [[ -z $from ]]; then bad 1 "$1 holds no certificate"; return 0; fi
    if [[ $(date -d "${from#*=}" +%s) -gt $(date +%s) ]]; then
        bad 1 "$1 begins only at ${from#*=}: is the clock right?"
    elif ! openssl x509 -noout -checkend 0 <<<"$pem" >/dev/null; then
        bad 1 "$1 has expired"
    elif ! openssl x509 -noout -checkend 1209600 <<<"$pem" >/dev/null; then
        bad 6 "$1 ends within 14 days: renew it"
    fi
}

check_certificates() {
    local path key count=0 before=$WORST
    while read -r path; do
        if [[ ! -f $path ]]; then continue; fi
        case $path in
            *.crt)
                count=$((count + 1))
                pem_ok "$path" < <(cat -- "$path")
                key=${path%.crt}.key
                if [[ -f $key ]] && ! cmp -s <(openssl x509 -in "$path" -noout -pubkey 2>/dev/null) <(openssl pkey -in "$key" -pubout 2>/dev/null); then
                    bad 1 "$path and $key are no pair"
                fi ;;
            /etc/kubernetes/*.conf)
                if grep -e 'client-certificate-data: ' -- "$path" >/dev/null; then
                    count=$((count + 1))
                    pem_ok "$path" < <(sed -n 's/^ *client-certificate-data: *//p' -- "$path" | base64 -d 2>/dev/null)
                fi ;;
        esac
    done < <(entries files path)
    if [[ $WORST -eq $before && $count -gt 0 ]]; then good "$count certificates in date, each with its own key"; fi
}

check_etcd() {
    local url
    url=$(local_client_url)
    if etcd_client "$url" endpoint health >/dev/null 2>&1; then
        good "etcd at $url is healthy"
    elif [[ $(systemctl show -p SubState --value etcd.service) == start ]]; then
        bad 6 "etcd at $url has no quorum yet"
    elif [[ $(field etcdState) == existing && $(systemctl is-active etcd.service || :) == inactive ]]; then
        bad 6 "etcd has not been added to its cluster: run up.sh"
    else
        bad 1 "etcd at $url is not healthy"
    fi
}

check_balancer() {
    local endpoint address
    endpoint=$(field endpoint)
    if connects "$(own_address)" "$(port_of "$endpoint")"; then
        good "this balancer accepts at $(own_address) port $(port_of "$endpoint")"
    else
        bad 1 "this balancer does not accept at $(own_address) port $(port_of "$endpoint")"
    fi
    address=$(getent ahosts "$(host_of "$endpoint")" | awk 'NR == 1 { print $1 }' || :)
    if [[ -z $address ]]; then
        bad 1 "$(host_of "$endpoint") does not resolve"
    elif connects "$address" "$(port_of "$endpoint")"; then
        good "$endpoint ($address) accepts$(if holds "$address"; then printf ', held by this host'; fi)"
    else
        bad 1 "$endpoint ($address) does not accept: no balancer holds the address, or nginx does not run there"
    fi
}
holds() { ip -o addr show | awk -v wanted="$1" '{ sub(/\/.*/, "", $4) } $4 == wanted { found = 1 } END { exit !found }'; }

check_kubernetes() {
    if [[ ! -f /etc/kubernetes/kubelet.conf ]]; then
        bad 6 "this node is not in the cluster yet: run up.sh"
        return 0
    fi
    if [[ $(systemctl is-active kubelet.service || :) == active ]]; then good "kubelet is active"; else bad 1 "kubelet is not active"; fi
    if has roles control-plane; then
        if https_get "$(own_address)" "$(api_port)" /readyz | grep -e '^ok' >/dev/null; then
            good "the API server is ready"
        else
            bad 1 "the API server at $(own_address) port $(api_port) is not ready"
        fi
    fi
}

main() {
    case ${1-} in
        '') ;;
        --quiet | -q) QUIET=yes ;;
        --help | -h) show_usage; finish 0 ;;
        *) show_usage >&2; finish 64 ;;
    esac
    need_root
    [[ -f $MANIFEST ]] || finish 1 "no MANIFEST.json beside this script"
    if [[ -f $PENDING ]]; then bad 1 "an install or rollback was cut off: finish it with $HERE/rollback.sh --resume"; fi
    if [[ ! -f $RECEIPT ]]; then
        bad 6 "nothing is installed yet: run install.sh"
        finish "$WORST"
    fi
    if [[ $(receipt manifest) != "$(digest "$MANIFEST")" ]]; then
        bad 4 "generation $(receipt generation) is installed; this folder is generation $(field generation)"
    fi
    check_files
    check_units
    check_certificates
    if has roles etcd; then check_etcd; fi
    if has roles load-balancer; then check_balancer; fi
    if has roles control-plane || has roles worker; then check_kubernetes; fi
    finish "$WORST"
}

main "$@"

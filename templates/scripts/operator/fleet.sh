# ---- fleet: what the operator's scripts share: hosts.tsv and ssh ----
# hosts.tsv: fqdn, ssh address, user, port, roles, kubeadm (init, join, -), node name, labels; one tab between.
HOSTS=$HERE/hosts.tsv
LEAVING=''  # "yes": those of retired.tsv, which is of the same kind, belong to it
DRY=''
ONLY=()     # --host: short names or FQDNs

# chosen: the lines of hosts.tsv that --host selects (all without it).
chosen() {
    local fqdn rest wanted
    while IFS=$'\t' read -r fqdn rest; do
        if [[ -z $fqdn || $fqdn == '#'* || $fqdn == fqdn ]]; then continue; fi
        if [[ ${#ONLY[@]} -eq 0 ]]; then printf '%s\t%s\n' "$fqdn" "$rest"; continue; fi
        for wanted in "${ONLY[@]}"; do
            if [[ $wanted == "$fqdn" || $wanted == "${fqdn%%.*}" ]]; then printf '%s\t%s\n' "$fqdn" "$rest"; fi
        done
    done < <(hosts_and_leaving)
}
hosts_and_leaving() {
    cat -- "$HOSTS"
    if [[ -n $LEAVING && -f $HERE/retired.tsv ]]; then cat -- "$HERE/retired.tsv"; fi
}
check_only() {
    local wanted
    for wanted in "${ONLY[@]}"; do
        awk -F '\t' -v w="$wanted" '{ short = $1; sub(/\..*/, "", short) } $1 == w || short == w { found = 1 } END { exit !found }' <(hosts_and_leaving) ||
            finish 64 "$wanted is not in hosts.tsv"
    done
}
role_of() { [[ ,$1, == *,$2,* ]]; }

# ssh_words ADDRESS USER PORT: sets SSH, the command up to the host, and SUDO, what makes us root there.
ssh_words() {
    SSH=(ssh -o BatchMode=yes -o ConnectTimeout=10 -o ServerAliveInterval=15 -p "$3" -- "$2@$1")
    SUDO=''
    if [[ $2 != root ]]; then SUDO='sudo -n '; fi
}
# A remote command of ours holds no character that the remote shell would read as more than itself.
plain() { [[ $1 =~ ^[A-Za-z0-9@%+=:,./_\ -]+$ ]]; }
# on_host COMMAND: as root on the host that ssh_words was called for; under --dry-run it is printed instead.
on_host() {
    plain "$1" || finish 1 "refusing to send '$1' to a remote shell"
    if [[ -n $DRY ]]; then
        result "${SSH[*]} $SUDO$1"
        return 0
    fi
    "${SSH[@]}" "$SUDO$1" </dev/null
}
# ---- end of fleet ----

# ---- fleet: what the operator's scripts share: hosts.tsv and ssh ----
# hosts.tsv: fqdn, ssh address, user, port, roles, kubeadm (init, join, -), node name, labels,
# taints (none: it is to have none; -: as kubeadm does); one tab between.
HOSTS=$HERE/hosts.tsv
LEAVING=''  # "yes": those of retired.tsv, which is of the same kind, belong to it
DRY=''
ONLY=()     # --host: short names or FQDNs

FLEET=()    # the lines of hosts.tsv that --host selects (all without it)

# read_hosts: sets FLEET. No other program reads them: a list that is cut short would pass for a smaller cluster.
read_hosts() {
    local file line fqdn wanted files=("$HOSTS") all=()
    local -A met=()
    if [[ -n $LEAVING && -f $HERE/retired.tsv ]]; then files+=("$HERE/retired.tsv"); fi
    FLEET=()
    for file in "${files[@]}"; do
        [[ -r $file ]] || finish 1 "$file is missing, or cannot be read"
        mapfile -t all <"$file"
        for line in "${all[@]}"; do
            fqdn=${line%%$'\t'*}
            if [[ -z $fqdn || $fqdn == '#'* || $fqdn == fqdn ]]; then continue; fi
            met[$fqdn]=yes met[${fqdn%%.*}]=yes
            if is_chosen "$fqdn"; then FLEET+=("$line"); fi
        done
    done
    for wanted in "${ONLY[@]}"; do [[ -n ${met[$wanted]-} ]] || finish 64 "$wanted is not in hosts.tsv"; done
}
is_chosen() {
    local wanted
    if [[ ${#ONLY[@]} -eq 0 ]]; then return 0; fi
    for wanted in "${ONLY[@]}"; do
        if [[ $1 == "$wanted" || ${1%%.*} == "$wanted" ]]; then return 0; fi
    done
    return 1
}
role_of() { [[ ,$1, == *,$2,* ]]; }

# quoted WORD...: prints them as a shell takes them, for pasting.
quoted() {
    local word line=''
    for word in "$@"; do
        if [[ ! $word =~ ^[A-Za-z0-9@%+=:,./_-]+$ ]]; then word="'${word//"'"/"'\\''"}'"; fi
        line+=${line:+ }$word
    done
    printf '%s' "$line"
}

# ssh_words ADDRESS USER PORT: sets SSH, the command up to the host, and SUDO, what makes us root there.
ssh_words() {
    SSH=(ssh -o BatchMode=yes -o ConnectTimeout=10 -o ServerAliveInterval=15 -p "$3" -- "$2@$1")
    SUDO=''
    if [[ $2 != root ]]; then SUDO='sudo -n '; fi
}
# A remote command of ours holds no character that the remote shell would read as more than itself.
plain() { [[ $1 =~ ^[A-Za-z0-9@%+=:,./_\ -]+$ ]]; }
# on_host COMMAND: as root on the host that ssh_words was called for; under --dry-run it is printed instead, without quotes, which
# a plain one does not need: ssh joins its words with blanks.
on_host() {
    plain "$1" || finish 1 "refusing to send '$1' to a remote shell"
    if [[ -n $DRY ]]; then
        result "$(quoted "${SSH[@]}") $SUDO$1"
        return 0
    fi
    "${SSH[@]}" "$SUDO$1" </dev/null
}
# ---- end of fleet ----

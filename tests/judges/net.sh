# shellcheck shell=bash
# What the judges share: hosts in network namespaces with the inventory's addresses, each with the files of its bundle.
#
# Sourced. A host has a network namespace on a bridge, and a mount namespace in which /etc is a copy with the bundle's
# files laid over it, and /run, /var/lib, /var/log/nginx, /usr/local/bin and /usr/local/sbin are its own. Nothing outside is touched; the machine never
# sees the hosts' network. Needs root.

PREFIX=kh$$
SWITCH=$PREFIX-sw
PASSED=0
FAILED=0
declare -A KEEPER=()        # host -> process that keeps its mount namespace

say() { printf '%s\n' "$*"; }
pass() { PASSED=$((PASSED + 1)); say "ok      $*"; }
fail() { FAILED=$((FAILED + 1)); say "FAILED  $*"; }
# check WHAT COMMAND...: passes if the command succeeds.
check() {
    local what=$1
    shift
    if "$@"; then pass "$what"; else fail "$what"; fi
}
now_ms() { local t=$EPOCHREALTIME; printf '%s' "$((${t/./} / 1000))"; }
# until SECONDS COMMAND...: true as soon as the command succeeds.
until_true() {
    local end=$(($(now_ms) + $1 * 1000))
    shift
    while ! "$@"; do
        if [[ $(now_ms) -gt $end ]]; then return 1; fi
        sleep 0.05
    done
}

net_up() {
    ip netns add "$SWITCH"
    ip -n "$SWITCH" link add br0 type bridge stp_state 0
    ip -n "$SWITCH" link set br0 type bridge mcast_snooping 0
    ip -n "$SWITCH" link set br0 up
}

# host_up NAME INTERFACE ADDRESS/LEN...: a host on the switch. Its bundle, if it has one, is BUNDLES/NAME.
host_up() {
    local name=$1 interface=$2 ns=$PREFIX-$1 port address
    shift 2
    port=p${#KEEPER[@]}
    ip netns add "$ns"
    ip -n "$ns" link add "$interface" type veth peer name "$port" netns "$SWITCH"
    ip -n "$SWITCH" link set "$port" master br0 up
    ip -n "$ns" link set lo up
    ip -n "$ns" link set "$interface" up
    for address in "$@"; do
        if [[ $address == *:* ]]; then ip -n "$ns" addr add "$address" dev "$interface" nodad; else ip -n "$ns" addr add "$address" dev "$interface"; fi
    done
    mkdir -p "$BOX/$name/run" "$BOX/$name/log" "$BOX/$name/bin" "$BOX/$name/sbin" "$BOX/$name/varlib"
    cp -a /etc "$BOX/$name/etc"
    if [[ -d $BUNDLES/$name/root/usr/local/sbin ]]; then cp -a "$BUNDLES/$name/root/usr/local/sbin/." "$BOX/$name/sbin/"; chmod 0755 "$BOX/$name/sbin"; fi
    if [[ -d $BUNDLES/$name/root/etc ]]; then
        cp -a "$BUNDLES/$name/root/etc/." "$BOX/$name/etc/"
        # A bundle's folders are 0700 while they travel.
        (cd "$BUNDLES/$name/root/etc" && find . -type d -exec chmod 0755 "$BOX/$name/etc/{}" \;)
    fi
    ip netns exec "$ns" unshare --mount --uts --propagation private bash -c '
        mount --bind "$1/etc" /etc && mount --bind "$1/run" /run
        mkdir -p /var/log/nginx && mount --bind "$1/log" /var/log/nginx && mount --bind "$1/varlib" /var/lib
        mount --bind "$1/bin" /usr/local/bin && mount --bind "$1/sbin" /usr/local/sbin
        hostname "$2"
        exec sleep infinity' keeper "$BOX/$name" "$name" &
    KEEPER[$name]=$!
    printf '%s\n' "$port" >"$BOX/$name/port"
    until_true 5 host_ready "$name"
    # What install.sh does before units start: users, folders, owners and modes.
    inside "$name" bash -s "$BUNDLES/$name/MANIFEST.json" <"$HERE/lay.sh"
}
host_ready() { [[ $(inside "$1" uname -n 2>/dev/null) == "$1" && $(readlink "/proc/${KEEPER[$1]}/exe") == */sleep ]]; }

# inside HOST COMMAND...
inside() {
    local host=$1
    shift
    nsenter --target "${KEEPER[$host]}" --mount --net --uts -- "$@"
}
cable() { ip -n "$SWITCH" link set "$(<"$BOX/$1/port")" "$2"; }

# Everything that lives in a host's network namespace, except its keeper.
processes_of() {
    local pid
    for pid in $(ip netns pids "$PREFIX-$1" 2>/dev/null); do
        if [[ $pid != "${KEEPER[$1]}" ]]; then printf '%s\n' "$pid"; fi
    done
}
signal_all() {
    local pids
    mapfile -t pids < <(processes_of "$2")
    if [[ ${#pids[@]} -gt 0 ]]; then kill "-$1" "${pids[@]}" 2>/dev/null || :; fi
}

net_down() {
    local host pid
    for host in "${!KEEPER[@]}"; do
        signal_all KILL "$host"
        pid=${KEEPER[$host]}
        kill "$pid" 2>/dev/null || :
        wait "$pid" 2>/dev/null || :
        ip netns del "$PREFIX-$host" 2>/dev/null || :
    done
    ip netns del "$SWITCH" 2>/dev/null || :
}

# finish: the count, and the exit code.
summary() {
    say "$PASSED passed, $FAILED failed"
    [[ $FAILED -eq 0 && $PASSED -gt 0 ]]
}

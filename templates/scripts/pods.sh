# ---- pods: the control plane's static pods, which kubelet runs from manifests ----
MANIFESTS=/etc/kubernetes/manifests
COMPONENTS='kube-apiserver kube-controller-manager kube-scheduler'

# wait_for WHAT COMMAND...: until COMMAND succeeds, at most WAIT seconds.
wait_for() {
    local what=$1 end=$((SECONDS + WAIT))
    shift
    if "$@"; then return 0; fi
    say "waiting for $what (at most $WAIT s)"
    until "$@"; do
        if [[ $SECONDS -ge $end ]]; then return 1; fi
        sleep 1 || finish 1
    done
}
# lay SOURCE PATH MODE OWNER GROUP: written beside the target, then renamed over it; kubelet does not
# look at names that begin with a dot.
lay() {
    local aside
    aside=$(aside_of "$2")
    rm -f -- "$aside"
    cp -- "$1" "$aside"
    chown -- "$4:$5" "$aside"
    chmod -- "$3" "$aside"
    mv -f -T -- "$aside" "$2"
}

# pids_of COMPONENT: its processes, " 17 23 ". The kernel keeps 15 characters of a name.
pids_of() {
    local file name all=' '
    for file in /proc/[0-9]*/comm; do
        # one that has just ended is none of them
        if read -r name 2>/dev/null <"$file" && [[ $name == "${1:0:15}" ]]; then
            file=${file#/proc/}
            all+="${file%/comm} "
        fi
    done
    printf '%s' "$all"
}
PIDS=''             # of a component before it is changed
is_gone() {
    local pid
    for pid in $(pids_of "$1"); do if [[ $PIDS == *" $pid "* ]]; then return 1; fi; done
}
is_anew() {
    local pid
    for pid in $(pids_of "$1"); do
        if [[ $PIDS != *" $pid "* ]]; then serves "$1"; return; fi
    done
    return 1
}
# flag COMPONENT NAME DEFAULT: of the manifest that is in place. Without other programs, as it is asked where failing has no say.
flag() {
    local line value=$3 wanted="^ *- --$2=(.+)\$"
    if [[ -f $MANIFESTS/$1.yaml ]]; then
        while IFS= read -r line; do
            if [[ $line =~ $wanted ]]; then value=${BASH_REMATCH[1]}; fi
        done <"$MANIFESTS/$1.yaml"
    fi
    printf '%s' "$value"
}
serves() {
    local host path=/healthz port
    case $1 in
        kube-apiserver) path=/readyz host=$(own_address) port=$(flag "$1" secure-port "$(api_port)") ;;
        kube-controller-manager) host=$(flag "$1" bind-address 127.0.0.1) port=$(flag "$1" secure-port 10257) ;;
        *) host=$(flag "$1" bind-address 127.0.0.1) port=$(flag "$1" secure-port 10259) ;;
    esac
    case $host in 0.0.0.0) host=127.0.0.1 ;; ::) host=::1 ;; esac
    ask "$host" "$port" "$path"
    says_ok
}
# comes_up COMPONENT: a process that was not there before, which serves and goes on doing so.
comes_up() {
    local pid
    wait_for "$1 to serve anew" is_anew "$1" || finish 1 "$1 does not come up: see crictl logs and journalctl -u kubelet"
    pid=$(pids_of "$1")
    sleep 3
    if [[ $(pids_of "$1") != "$pid" ]] || ! serves "$1"; then finish 1 "$1 does not stay up: see crictl logs and journalctl -u kubelet"; fi
    say "$1 serves"
}
# restart COMPONENT: kubelet stops the pod of a manifest that is gone, and starts that of one that comes.
restart() {
    local manifest=$MANIFESTS/$1.yaml
    PIDS=$(pids_of "$1")
    rm -f -- "$manifest"
    wait_for "$1 to stop" is_gone "$1" || finish 1 "$1 does not stop: does kubelet run? See journalctl -u kubelet"
    lay "$STATE/backups/$BACKUP/files$manifest" "$manifest" 0600 root root
    comes_up "$1"
}
# ---- end of pods ----

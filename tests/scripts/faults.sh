# faults.sh: every external command of a script goes through a stand-in that can note it, make it fail, or take the host
# away from under the script. Sourced by run.sh.
# shellcheck shell=bash
shopt -s extglob

# The commands that change the host.
CHANGES='cp mv rm mkdir rmdir chown chmod install sync cat tee systemctl sysctl modprobe systemd-sysusers systemd-tmpfiles kubeadm'
# stand_in NAME...: from now on /usr/local/sbin/NAME is what the scripts find. A PATH is laid over in place.
# FAULT=note     writes "NAME K: ARGUMENTS" to $BOX/notes, where this is the Kth call of NAME
# FAULT=fail     ends with $FAULT_CODE where FAULT_AT is "NAME K", or NAME for every call; $BOX/struck says which
# FAULT=kill, full, ro   once the change number $FAULT_AT is made: kill -9, the disk is full, the root is read-only
stand_in() {
    local name path real
    mkdir -p "$BOX/real" "$BOX/seen"
    for path in "$@"; do
        name=${path##*/}
        if [[ -e $BOX/real/$name ]]; then continue; fi
        real=$(command -v "$path") || continue
        if [[ $path == */* ]]; then
            : >"$BOX/real/$name"
            mount --bind "$real" "$BOX/real/$name"
            real=$BOX/stand.$name
        elif [[ $real == /usr/local/sbin/* ]]; then
            mv "$real" "$BOX/real/$name"
        else
            ln -s "$real" "$BOX/real/$name"
            real=/usr/local/sbin/$name
        fi
        cat >"$real" <<STAND
#!/bin/dash
case \$FAULT in
    '') exec $BOX/real/$name "\$@" ;;
    note | fail)
        set -C
        k=1
        until true 2>/dev/null >$BOX/seen/$name.\$k; do k=\$((k + 1)); done
        set +C
        # the first line tells it well enough; one write, as several may note at once
        line="$name \$k: \$*"
        line="\${line%%
*}"
        if [ \$FAULT = note ]; then printf '%s\n' "\$line" >>$BOX/notes; fi
        case \$FAULT:\$FAULT_AT in "fail:$name" | "fail:$name \$k") printf '%s\n' "\$line" >>$BOX/struck; exit "\$FAULT_CODE" ;; esac ;;
    *)
        # what a command runs itself is its own affair
        case " $CHANGES " in *" $name "*) ;; *) exec $BOX/real/$name "\$@" ;; esac
        case \$1 in is-* | show) FAULT=; exec $BOX/real/$name "\$@" ;; esac
        code=0
        FAULT='' $BOX/real/$name "\$@" || code=\$?
        read -r n <$BOX/count
        n=\$((n + 1))
        echo \$n >$BOX/count
        if [ \$n -eq "\$FAULT_AT" ]; then
            echo "$name \$*" >$BOX/struck
            case \$FAULT in
                kill) read -r group <$BOX/group; kill -9 -"\$group" ;;
                full) $BOX/busybox dd if=/dev/zero of=$BOX/disk/filler bs=64k 2>/dev/null ;;
                ro) for d in /etc /usr/local /var/lib /var/log; do $BOX/busybox mount -o remount,ro overlay \$d; done ;;
            esac
        fi
        exit \$code ;;
esac
# what a command runs itself is its own affair, but for what it starts for us
case $name in unshare | timeout | find | xargs | env | setsid) ;; *) FAULT= ;; esac
exec $BOX/real/$name "\$@"
STAND
        chmod 0755 "$real"
        if [[ $path == */* ]]; then mount --bind "$real" "$path"; fi
    done
}
# everything SCRIPT...: every program that a run of it starts is replaced, whatever it is, as a tracer sees them; not the shells
# that the stand-ins are made of.
everything() {
    local program name
    strace -f -qq --seccomp-bpf -e trace=execve -e signal=none -o "$BOX/execs" "$@" >"$BOX/out" 2>"$BOX/err" </dev/null ||
        { cat "$BOX/err"; die "$* fails under the tracer"; }
    while read -r program; do
        name=${program##*/}
        if [[ ! -x $program ]]; then continue; fi
        case $program in */bash | */dash | */sh | */busybox | "$BOX"/real/* | "$BOX"/built/* | /var/lib/* | "$1") continue ;; esac
        if [[ $(PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin command -v "$name") -ef $program ]]; then program=$name; fi
        stand_in "$program"
    # one that is interrupted by another's is not finished in its line
    done < <(grep -v ' = -1 ' "$BOX/execs" | sed -n 's/^[0-9]* *execve("\([^"]*\)".*/\1/p' | sort -u)
}
prepare_faults() {
    cp "$(command -v busybox)" "$BOX/busybox"
    # SC2086: a list of words
    stand_in ${1-$CHANGES}
    mount -o remount,size=64m "$BOX/disk"
}

# struck FAULT N SCRIPT ARGUMENT...: runs the script with that fault at its Nth change; sets CODE, and STRUCK to the change (or to
# nothing: the script has no Nth change). The host is whole again afterwards: room, and writable.
struck() {
    local fault=$1 at=$2
    shift 2
    echo 0 >"$BOX/count"
    rm -f "$BOX/struck"
    CODE=0
    # the shell's own word on what was killed is no news here
    { FAULT=$fault FAULT_AT=$at setsid --wait bash -c 'echo $$ >"$0/group"; exec "$@"' "$BOX" "$@" >"$BOX/out" 2>"$BOX/err" </dev/null || CODE=$?; } 2>/dev/null
    case $fault in
        full) rm -f "$BOX/disk/filler" ;;
        ro) for d in /etc /usr/local /var/lib /var/log; do mount -o remount,rw overlay $d; done ;;
    esac
    STRUCK=''
    if [[ -f $BOX/struck ]]; then STRUCK=$(<"$BOX/struck"); fi
}

# killed SCRIPT ARGUMENT...: kill -9 after each of its changes; AFTER then ends the job and brings the host back to the start.
killed() {
    local n
    for ((n = 1; ; n++)); do
        struck kill "$n" "$@"
        if [[ -z $STRUCK ]]; then break; fi
        FAILED_AT="killed after change $n, $STRUCK"
        [[ $CODE == 137 ]] || { cat "$BOX/err"; die "$FAILED_AT: ended with $CODE"; }
        "$AFTER"
    done
    [[ $CODE == 0 && $n -gt ${LEAST:-8} ]] || { cat "$BOX/err"; die "$*: $CODE after $n changes"; }
    "$AFTER"
    printf 'FIGURE %s: kill after every change of %s\n' "${*##*/}" "$((n - 1))"
}

# shape: what the host is: bytes, modes, owners, links, and what its units do. Not khagen's own state, nor data that
# was put aside.
shape() {
    (cd "$BOX/upper" && find . \( -path ./var/lib/khagen -o -path ./var/log -o -name .pwd.lock -o -name '*.uninstalled-*' \) -prune -o \
        -printf '%P %y %m %U %G %l\n' | grep -v -E '^(var/lib|usr/local|etc)? d ' | sort
    find etc -type f -exec sha256sum {} + | sort -k 2)
    (cd "$BOX/units" && grep -r . . | sort) || :
}

# keep_host NAME, host_again NAME: the host's disk and what its units do, put away and taken out again, with times and all.
DIRS='etc usr/local var/lib var/log'
keep_host() {
    rm -rf "${BOX:?}/kept.$1"
    mkdir "$BOX/kept.$1"
    cp -a "$BOX/disk/upper" "$BOX/units" "$BOX/kept.$1/"
}
host_again() {
    local dir
    # SC2086: a list of words
    umount /usr/local/sbin
    hash -r
    for dir in $DIRS; do umount "/$dir"; done
    rm -rf "$BOX/disk/upper" "$BOX/disk/work" "$BOX/units"
    cp -a "$BOX/kept.$1/upper" "$BOX/disk/upper"
    cp -a "$BOX/kept.$1/units" "$BOX/units"
    for dir in $DIRS; do lay "$dir"; done
    mount --bind "$BOX/sbin" /usr/local/sbin
}
# state: all that a cut leaves, but for times and logs.
state() {
    (cd "$BOX/upper" && find . -path ./var/log -prune -o -printf '%P %y %m %U %G %l\n' | sort && find etc var/lib -type f -exec sha256sum {} + | sort -k 2)
    (cd "$BOX/units" && grep -r . . | sort) || :
}

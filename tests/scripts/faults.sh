# faults.sh: every external command of a script goes through a stand-in that can note it, make it fail, or take the host
# away from under the script. Sourced by run.sh.
# shellcheck shell=bash

# The commands that change the host.
CHANGES='cp mv rm mkdir rmdir chown chmod install sync cat tee systemctl sysctl modprobe systemd-sysusers systemd-tmpfiles kubeadm'
# Those that only ask, or pass text on.
ASKS='awk base64 cmp comm cut date df dirname etcdctl etcdutl find flock getent grep head id ip mount mountpoint od openssl paste readlink sed sha256sum sort stat systemd-analyze tail timeout tr uname unshare'

# stand_in NAME...: from now on /usr/local/sbin/NAME is what the scripts find.
# FAULT=note     writes "NAME ARGUMENTS" to $BOX/notes
# FAULT=fail     ends with $FAULT_CODE where "NAME ARGUMENTS" begins with $FAULT_AT
# FAULT=kill, full, ro   once the change number $FAULT_AT is made: kill -9, the disk is full, the root is read-only
stand_in() {
    local name real
    mkdir -p "$BOX/real"
    for name in "$@"; do
        if [[ -e $BOX/real/$name ]]; then continue; fi
        real=$(command -v "$name") || continue
        if [[ $real == /usr/local/sbin/* ]]; then
            mv "$real" "$BOX/real/$name"
        else
            ln -s "$real" "$BOX/real/$name"
        fi
        cat >"/usr/local/sbin/$name" <<STAND
#!/bin/dash
case \$FAULT in
    '') exec $BOX/real/$name "\$@" ;;
    # the first line tells it well enough; one write, as several may note at once
    note) line="$name \$*"; printf '%s\n' "\${line%%
*}" >>$BOX/notes ;;
    fail) case "$name \$* " in "\$FAULT_AT"*) exit "\$FAULT_CODE" ;; esac ;;
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
# what a command runs itself is its own affair, but for the shell that it starts for us
case $name in unshare | timeout) ;; *) FAULT= ;; esac
exec $BOX/real/$name "\$@"
STAND
        chmod 0755 "/usr/local/sbin/$name"
    done
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

# shape: what the host is: bytes, modes, owners, links, and what its units do. Not khagen's own state, nor data that
# was put aside.
shape() {
    (cd "$BOX/upper" && find . \( -path ./var/lib/khagen -o -path ./var/log -o -path ./usr/local/sbin -o -name .pwd.lock -o -name '*.uninstalled-*' \) -prune -o \
        -printf '%P %y %m %U %G %l\n' | grep -v -E '^(var/lib|usr/local|etc)? d ' | sort
    find etc -type f -exec sha256sum {} + | sort -k 2)
    (cd "$BOX/units" && grep -r . . | sort) || :
}

# shellcheck shell=bash
case_time_it() {
    bundle "$BOX/b1" 1
    bundle "$BOX/b2" 2
    set +x
    time code 0 "$BOX/b1/install.sh"
    time code 0 "$BOX/b2/install.sh"
    time code 0 "$BOX/b2/install.sh"
    time code 0 "$BOX/b2/verify.sh"
    time code 0 "$BOX/b2/rollback.sh"
    time picture >/dev/null
    strace -f -e trace=execve -o $BOX/tr "$BOX/b2/install.sh"
    grep -c 'execve.*= 0' $BOX/tr; grep 'execve.*= 0' $BOX/tr | sed 's/.*execve("\([^"]*\)".*/\1/' | sort | uniq -c | sort -rn
    false
}

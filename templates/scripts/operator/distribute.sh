#!/bin/bash
# Usage: distribute.sh [--from DIR] [--host NAME]... [--dry-run]
#
# Carries each host's tarball over ssh and unpacks it there under /var/lib/khagen/incoming, four
# hosts at a time, and what travels beside it (packages.tsv says what each host needs) to packages/
# there, unless it lies there already; also the tarball of a host that leaves, which takes it down. The tarball goes through
# the connection itself: no copy with keys in it stays in anybody's home. Nothing is installed yet.
# By hand: copy <fqdn>.tar.gz to the host and there, as root:
#   tar -xzpf <fqdn>.tar.gz --no-same-owner -C /var/lib/khagen/incoming
# and what packages.tsv names for it into /var/lib/khagen/incoming/packages.
#
#   --from DIR    where the tarballs are (default: the folder that holds operator/)
#   --host NAME   only this host (short name or FQDN); may be repeated
#   --dry-run     print the commands; exit 2
#
# Exit codes: 0 done, 1 error (a host could not be reached: run it again), 2 dry run, 4 a tarball is
# damaged, 6 a tarball is missing, 64 usage.

# @include prelude.sh
# @include operator/fleet.sh

INCOMING=/var/lib/khagen/incoming
FROM=$HERE/..
LEAVING=yes
PACKAGES=''     # the folder with what travels beside the tarballs

# What hosts need of it, each file checked once.
check_packages() {
    local fqdn sha file sum
    local -A seen=()
    if [[ ! -f $HERE/packages.tsv ]]; then return 0; fi
    for PACKAGES in "$FROM/packages" "$FROM/../packages"; do if [[ -d $PACKAGES ]]; then break; fi; done
    while IFS=$'\t' read -r fqdn sha _ file; do
        if [[ $fqdn == '#'* || -n ${seen[$file]-} ]] || ! is_chosen "$fqdn"; then continue; fi
        seen[$file]=yes
        [[ $file =~ ^[A-Za-z0-9][A-Za-z0-9._+~:=@-]*$ && $sha =~ ^[0-9a-f]{64}$ ]] || finish 1 "packages.tsv: '$file' is no line of khagen's"
        [[ -f $PACKAGES/$file ]] || finish 6 "$file is missing: packages/ of khagen's output goes beside the tarballs (say --from DIR)"
        sum=$(sha256sum -- "$PACKAGES/$file")
        [[ ${sum%% *} == "$sha" ]] || finish 4 "$PACKAGES/$file is not the one that packages.tsv names"
    done <"$HERE/packages.tsv"
}
# send_packages FQDN: what the host lacks, in one stream; what it needs no more goes. Each file has its place under its own
# name only once it is whole.
send_packages() {
    local fqdn=$1 sums='' have file sha owner names='' script rest=()
    if [[ -z $PACKAGES ]]; then return 0; fi
    while IFS=$'\t' read -r owner sha _ file; do
        if [[ $owner == "$fqdn" ]]; then sums+=${sums:+$'\n'}"$sha  $file" names+="$file "; fi
    done <"$HERE/packages.tsv"
    if [[ -z $sums ]]; then return 0; fi
    script="set -eu; umask 077; mkdir -p $INCOMING/packages; cd $INCOMING/packages; rm -rf .new; cat >.wanted; for f in *; do if test -e \"\$f\" && ! grep -q -F -e \"  \$f\" .wanted; then rm -f -- \"\$f\"; fi; done; LC_ALL=C sha256sum -c .wanted 2>/dev/null | sed -n \"s/: OK\$//p\"; rm -f .wanted"
    if [[ -n $DRY ]]; then
        result "# to $fqdn, into $INCOMING/packages, what it has not: $names"
        return 0
    fi
    have=$("${SSH[@]}" "${SUDO}sh -c '$script'" <<<"$sums") || return 1
    while read -r _ file; do
        if [[ $'\n'$have$'\n' != *$'\n'"$file"$'\n'* ]]; then rest+=("$file"); fi
    done <<<"$sums"
    if [[ ${#rest[@]} -eq 0 ]]; then return 0; fi
    script="set -eu; umask 077; cd $INCOMING/packages; rm -rf .new; mkdir .new; tar -xf - --no-same-owner -C .new; mv -f .new/* .; rmdir .new"
    tar -cf - -C "$PACKAGES" -- "${rest[@]}" | "${SSH[@]}" "${SUDO}sh -c '$script'" || return 1
    say "$fqdn: ${#rest[@]} packages and programs sent to $INCOMING/packages"
}

# The digests lie beside the folder of the bundles, in khagen's output, or with them.
check_tarball() {
    local tarball=$FROM/$1.tar.gz sums sum line path
    [[ -f $tarball ]] || finish 6 "$tarball is missing (say --from DIR)"
    for sums in "$FROM/SHA256SUMS" "$FROM/../SHA256SUMS"; do
        if [[ ! -f $sums ]]; then continue; fi
        sum=$(sha256sum -- "$tarball")
        while read -r line path || [[ -n $line ]]; do
            path=${path#\*}
            if [[ ${path##*/} == "$1.tar.gz" && $line == "${sum%% *}" ]]; then return 0; fi
        done <"$sums"
        finish 4 "$tarball is not the one that $sums names"
    done
    say "no SHA256SUMS near $tarball: its files are checked on the host, by install.sh"
}

# The new folder replaces an earlier one whole, so that no file of an older bundle stays in it.
send() {
    local fqdn=$1 script
    ssh_words "$2" "$3" "$4"
    script="set -eu; umask 077; mkdir -p $INCOMING; rm -rf $INCOMING/.new.$fqdn; mkdir $INCOMING/.new.$fqdn; tar -xzpf - --no-same-owner -C $INCOMING/.new.$fqdn; rm -rf $INCOMING/$fqdn; mv $INCOMING/.new.$fqdn/$fqdn $INCOMING/$fqdn; rmdir $INCOMING/.new.$fqdn"
    if [[ -n $DRY ]]; then
        # One word for ssh: the remote shell is to find the quotes, and sudo the whole of sh's words.
        result "$(quoted "${SSH[@]}" "${SUDO}sh -c '$script'") <$(quoted "$FROM/$fqdn.tar.gz")"
        send_packages "$fqdn"
        return 0
    fi
    if ! send_packages "$fqdn"; then
        say "$fqdn: FAILED"
        return 1
    fi
    if "${SSH[@]}" "${SUDO}sh -c '$script'" <"$FROM/$fqdn.tar.gz"; then
        say "$fqdn: unpacked in $INCOMING/$fqdn"
    else
        say "$fqdn: FAILED"
        return 1
    fi
}

main() {
    local entry fqdn address user port failed=0 running=0
    while [[ $# -gt 0 ]]; do
        case $1 in
            --from) [[ -d ${2-} ]] || finish 64 "--from needs a folder"
                FROM=$2; shift ;;
            --host) [[ -n ${2-} ]] || finish 64 "--host needs a name"
                ONLY+=("$2"); shift ;;
            --dry-run) DRY=yes ;;
            --help | -h) show_usage; finish 0 ;;
            *) show_usage >&2; finish 64 ;;
        esac
        shift
    done
    read_hosts
    for entry in "${FLEET[@]}"; do
        fqdn=${entry%%$'\t'*}
        plain "$fqdn" || finish 1 "hosts.tsv: '$fqdn' is no host name"
        check_tarball "$fqdn"
    done
    check_packages
    for entry in "${FLEET[@]}"; do
        IFS=$'\t' read -r fqdn address user port _ <<<"$entry"
        if [[ -n $DRY ]]; then send "$fqdn" "$address" "$user" "$port"; continue; fi
        if [[ $running -ge 4 ]]; then
            wait -n || failed=$((failed + 1))
            running=$((running - 1))
        fi
        send "$fqdn" "$address" "$user" "$port" &
        running=$((running + 1))
    done
    while [[ $running -gt 0 ]]; do
        wait -n || failed=$((failed + 1))
        running=$((running - 1))
    done
    if [[ -n $DRY ]]; then finish 2 "dry run: nothing was sent"; fi
    if [[ $failed -gt 0 ]]; then finish 1 "$failed hosts have not got their bundle; run this again (--host for one)"; fi
    finish 0 "next: $HERE/bring-up.sh"
}

main "$@"

# shellcheck shell=bash
# Cases of what travels beside a bundle: packages made by dpkg-deb and installed by the real dpkg and apt, and programs.

# deb NAME VERSION [DEPENDS]: a package whose files lie in the overlays, in $BOX/packages.
deb() {
    local dir=$BOX/deb.$1
    rm -rf "$dir"
    mkdir -p "$dir/DEBIAN" "$dir/usr/local/bin" "$dir/usr/local/lib/systemd/system" "$BOX/packages"
    printf '#!/bin/sh\necho %s %s\n' "$1" "$2" >"$dir/usr/local/bin/$1"
    printf 'Package: %s\nVersion: %s\nArchitecture: %s\nMaintainer: nobody <n@example.com>\n%sDescription: a test\n' \
        "$1" "$2" "${ARCH:-all}" "${3:+Depends: $3$'\n'}" >"$dir/DEBIAN/control"
    if [[ $1 == *daemon ]]; then
        printf '[Unit]\nDescription=demo\n[Service]\nExecStart=/bin/sleep 1000\n' >"$dir/usr/local/lib/systemd/system/$1.service"
        # as debhelper writes it
        printf '#!/bin/sh\nset -e\ndeb-systemd-invoke %s %s.service\n' "${VERB:-start}" "$1" >"$dir/DEBIAN/postinst"
        if [[ -n ${BROKEN-} ]]; then printf 'exit 3\n' >>"$dir/DEBIAN/postinst"; fi
        chmod 0755 "$dir/DEBIAN/postinst"
    fi
    chmod 0755 "$dir" "$dir/DEBIAN" "$dir/usr/local/bin/$1"
    dpkg-deb --root-owner-group --build "$dir" "$BOX/packages/$1_$2.deb" >/dev/null
}
deb_line() { # NAME VERSION
    local file=$BOX/packages/$1_$2.deb sum
    sum=$(sha256sum "$file")
    printf '{"package": "%s", "version": "%s", "architecture": "%s", "file": "%s", "size": %s, "sha256": "%s"}' \
        "$1" "$2" "${ARCH:-all}" "$1_$2.deb" "$(stat -c %s "$file")" "${sum%% *}"
}
program_line() { # PATH FILE
    local sum
    sum=$(sha256sum "$BOX/packages/$2")
    printf '{"path": "%s", "mode": "0755", "from": "etcd.tar.gz:etcd", "file": "%s", "size": %s, "sha256": "%s"}' \
        "$1" "$2" "$(stat -c %s "$BOX/packages/$2")" "${sum%% *}"
}
# A host where dpkg may write: what the fixture has not laid over already.
prepare_packages() {
    mkdir -p "$BOX/packages"
    lay usr/sbin
    DIRS+=' usr/sbin'
    mount -t tmpfs tmpfs /run
    mkdir -p /run/systemd/system        # deb-systemd-invoke asks whether systemd runs
    rm -f /usr/sbin/policy-rc.d
    # what is not of this case must not be judged
    dpkg --audit >"$BOX/audit"
    [[ ! -s $BOX/audit ]] || die "dpkg is not at peace on this machine: $(<"$BOX/audit")"
}
# with_packages DIR GENERATION DEB-LINES PROGRAM-LINES
with_packages() {
    EXTRA=''
    if [[ -n $3 ]]; then EXTRA+='"debs": ['$'\n'"$3"$'\n],\n'; fi
    if [[ -n $4 ]]; then EXTRA+='"binaries": ['$'\n'"$4"$'\n],\n'; fi
    EXTRA=${EXTRA%$'\n'}
    seal "$1" "$2"
}
is_installed() { dpkg-query -W -f '${Version} ${db:Status-Status}' "$1" 2>/dev/null || :; }

case_packages_without_a_network() {
    prepare_packages
    printf '#!/bin/sh\n# of the host\nexit 104\n' >/usr/sbin/policy-rc.d
    chmod 0750 /usr/sbin/policy-rc.d
    # named so that their order by name is the wrong one
    deb kh-c-lib 1.0
    deb kh-b-tool 1.0 'kh-c-lib (>= 1.0), libc6'
    deb kh-a-daemon 1.0 kh-b-tool
    printf 'a program\n' >"$BOX/packages/0123-etcd"
    bundle "$BOX/b" 1
    COMMANDS='"openssl", "kh-a-daemon", "/usr/local/bin/kh-etcd"'
    UNITS='{"unit": "demo.service", "enable": true, "start": true, "restartOn": ["/usr/local/bin/kh-etcd"], "reloadOn": []},
{"unit": "kh-a-daemon.service", "enable": true, "start": true, "restartOn": [], "reloadOn": []}'
    debs="$(deb_line kh-c-lib 1.0),
$(deb_line kh-b-tool 1.0),
$(deb_line kh-a-daemon 1.0)"
    with_packages "$BOX/b" 1 "$debs" "$(program_line /usr/local/bin/kh-etcd 0123-etcd)"
    # the file is not there; it is damaged
    mv "$BOX/packages/0123-etcd" "$BOX/away"
    stamps >"$BOX/s1"
    code 6 "$BOX/b/install.sh"; says '0123-etcd is not in .*packages'
    mv "$BOX/away" "$BOX/packages/0123-etcd"
    printf 'X' | dd of="$BOX/packages/kh-b-tool_1.0.deb" bs=1 seek=200 conv=notrunc status=none
    code 4 "$BOX/b/install.sh"; says 'kh-b-tool_1.0.deb is damaged'
    deb kh-b-tool 1.0 'kh-c-lib (>= 1.0), libc6'
    debs="$(deb_line kh-c-lib 1.0),
$(deb_line kh-b-tool 1.0),
$(deb_line kh-a-daemon 1.0)"
    with_packages "$BOX/b" 1 "$debs" "$(program_line /usr/local/bin/kh-etcd 0123-etcd)"
    # dry run: lists, writes nothing
    code 2 "$BOX/b/install.sh" --dry-run
    says '^install package kh-a-daemon 1.0'; says '^create /usr/local/bin/kh-etcd \(0755 root:root\)'
    stamps >"$BOX/s2"
    same "$BOX/s1" "$BOX/s2"
    : >"$BOX/calls"
    code 0 "$BOX/b/install.sh"
    for name in kh-a-daemon kh-b-tool kh-c-lib; do
        [[ $(is_installed "$name") == '1.0 installed' ]] || die "$name is not installed"
    done
    [[ $(</usr/local/bin/kh-etcd) == 'a program' && $(stat -c '%a %U' /usr/local/bin/kh-etcd) == '755 root' ]] || die program
    # the package has not started its daemon, install.sh has, and once
    [[ $(grep -c -F -e 'start kh-a-daemon.service' "$BOX/calls") == 1 ]] || { cat "$BOX/calls"; die "who started it?"; }
    grep -q '# of the host' /usr/sbin/policy-rc.d || die "the host's policy-rc.d is gone"
    [[ $(stat -c %a /usr/sbin/policy-rc.d) == 750 && ! -e /usr/sbin/policy-rc.d.khagen-kept ]] || die "policy-rc.d"
    code 0 "$BOX/b/verify.sh"; says '3 packages and 1 programs as installed'
    chmod 0700 /usr/local/bin/kh-etcd
    code 4 /var/lib/khagen/installed/verify.sh; says 'kh-etcd is 0700 root:root, should be 0755'
    chmod 0755 /usr/local/bin/kh-etcd
    # a second run changes nothing, also without the folder
    mv "$BOX/packages" "$BOX/elsewhere"
    stamps >"$BOX/s1"; : >"$BOX/calls"
    code 0 "$BOX/b/install.sh"; says 'nothing to do'
    stamps >"$BOX/s2"
    same "$BOX/s1" "$BOX/s2"
    mv "$BOX/elsewhere" "$BOX/packages"
    # a later generation: a newer package restarts what it brings, a newer program what reads it; a later one on the host stays
    deb kh-a-daemon 1.1 kh-b-tool
    deb kh-c-lib 0.9
    printf 'a newer program\n' >"$BOX/packages/4567-etcd"
    debs="$(deb_line kh-c-lib 0.9),
$(deb_line kh-b-tool 1.0),
$(deb_line kh-a-daemon 1.1)"
    with_packages "$BOX/b" 2 "$debs" "$(program_line /usr/local/bin/kh-etcd 4567-etcd)"
    : >"$BOX/calls"
    mkdir "$BOX/other"
    mv "$BOX/packages" "$BOX/other/stick"
    code 6 "$BOX/b/install.sh"
    code 0 "$BOX/b/install.sh" --packages "$BOX/other/stick"
    [[ $(is_installed kh-a-daemon) == '1.1 installed' && $(is_installed kh-c-lib) == '1.0 installed' ]] || die versions
    grep -Fx 'restart kh-a-daemon.service' "$BOX/calls"; grep -Fx 'restart demo.service' "$BOX/calls"
    [[ $(</usr/local/bin/kh-etcd) == 'a newer program' ]] || die program
    # going back: the program, not the package
    code 0 "$BOX/b/rollback.sh"
    [[ $(</usr/local/bin/kh-etcd) == 'a program' && $(is_installed kh-a-daemon) == '1.1 installed' ]] || die rollback
}

case_packages_that_do_not_fit() {
    prepare_packages
    bundle "$BOX/b" 1
    deb kh-b-tool 1.0 'kh-nowhere (>= 2)'
    with_packages "$BOX/b" 1 "$(deb_line kh-b-tool 1.0)" ''
    stamps >"$BOX/s1"
    code 6 "$BOX/b/install.sh"; says 'kh-nowhere'; says 'do not fit this host'
    ARCH=s390x deb kh-far 1.0
    with_packages "$BOX/b" 1 "$(ARCH=s390x deb_line kh-far 1.0)" ''
    code 6 "$BOX/b/install.sh"; says 'kh-far is for s390x'
    stamps >"$BOX/s2"
    same "$BOX/s1" "$BOX/s2"
    # a maintainer script that fails: 1, nothing else touched, services are let go, and the next run ends it
    BROKEN=yes deb kh-a-daemon 1.0
    with_packages "$BOX/b" 1 "$(deb_line kh-a-daemon 1.0)" ''
    code 1 "$BOX/b/install.sh"; says 'dpkg ended with 1'
    [[ ! -e /usr/sbin/policy-rc.d && ! -e /var/lib/khagen/receipt.json ]] || die "something was left"
    [[ $(</etc/demo/app.conf) == 'the old one' ]] || die "the host was touched"
    deb kh-a-daemon 1.0.1
    with_packages "$BOX/b" 1 "$(deb_line kh-a-daemon 1.0.1)" ''
    code 0 "$BOX/b/install.sh"
    [[ $(is_installed kh-a-daemon) == '1.0.1 installed' ]] || die "not installed"
}

case_packages_killed() {
    prepare_packages
    bundle "$BOX/b" 1
    deb kh-a-daemon 1.0
    with_packages "$BOX/b" 1 "$(deb_line kh-a-daemon 1.0)" ''
    printf '#!/bin/sh\n# of the host\nexit 104\n' >/usr/sbin/policy-rc.d
    # dpkg takes its caller with it
    printf '#!/bin/bash\nif [[ "$*" == *--install* && -f %s/kill ]]; then rm %s/kill; p=$(ps -o ppid= $PPID); kill -9 $p $PPID; exit 1; fi\nexec /usr/bin/dpkg "$@"\n' "$BOX" "$BOX" >/usr/local/sbin/dpkg
    chmod 0755 /usr/local/sbin/dpkg
    touch "$BOX/kill"
    code 137 "$BOX/b/install.sh"
    [[ -e /usr/sbin/policy-rc.d.khagen-kept ]] || die "it was not killed where it should be"
    code 0 "$BOX/b/install.sh"
    grep -q '# of the host' /usr/sbin/policy-rc.d || die "the host's policy-rc.d is gone"
    [[ ! -e /usr/sbin/policy-rc.d.khagen-kept && $(is_installed kh-a-daemon) == '1.0 installed' ]] || die "not converged"
    # the program fails to hold its unit: everything but the package goes back
    printf 'a program\n' >"$BOX/packages/0123-etcd"
    UNITS='{"unit": "demo.service", "enable": true, "start": true, "restartOn": ["/usr/local/bin/kh-etcd"], "reloadOn": []}'
    with_packages "$BOX/b" 2 "$(deb_line kh-a-daemon 1.0)" "$(program_line /usr/local/bin/kh-etcd 0123-etcd)"
    echo failed >"$BOX/start.demo.service"
    code 1 "$BOX/b/install.sh"
    [[ ! -e /usr/local/bin/kh-etcd ]] || die "the program stayed"
}

case_packages_are_distributed() {
    operator
    local in=/var/lib/khagen/incoming/packages one two
    mkdir "$BOX/built/packages"
    echo one >"$BOX/built/packages/1234-one_1:1.0~x+b.deb"
    echo two >"$BOX/built/packages/5678-two"
    one=$(sha256sum <"$BOX/built/packages/1234-one_1:1.0~x+b.deb") two=$(sha256sum <"$BOX/built/packages/5678-two")
    {
        printf '# fqdn\tsha256\tsize\tfile in packages/\n'
        printf 'k8setcd1.isociel.com\t%s\t4\t1234-one_1:1.0~x+b.deb\n' "${one%% *}"
        printf 'k8setcd1.isociel.com\t%s\t4\t5678-two\nk8smaster1.isociel.com\t%s\t4\t5678-two\n' "${two%% *}" "${two%% *}"
    } >"$OP/packages.tsv"
    code 2 "$OP/distribute.sh" --dry-run; says 'to k8setcd1.isociel.com, .*5678-two'
    code 0 "$OP/distribute.sh" --host k8setcd1; says '2 packages and programs sent'
    [[ $(<"$in/1234-one_1:1.0~x+b.deb") == one && $(<"$in/5678-two") == two && ! -e $in/.new ]] || die "not there"
    # what is there is not sent again; what was damaged is, and what nobody asks for goes
    code 0 "$OP/distribute.sh" --host k8setcd1
    ! grep 'programs sent' "$BOX/err" || die "sent again"
    echo damaged >"$in/5678-two"; touch "$in/0000-old"
    code 0 "$OP/distribute.sh" --host k8setcd1; says '1 packages and programs sent'
    [[ $(<"$in/5678-two") == two && ! -e $in/0000-old ]] || die "not mended"
    code 0 "$OP/distribute.sh" --host k8sworker1
    # missing and damaged here: before anything is sent
    : >"$BOX/calls"
    echo other >"$BOX/built/packages/5678-two"
    code 4 "$OP/distribute.sh" --host k8smaster1; says '5678-two is not the one'
    rm "$BOX/built/packages/5678-two"
    code 6 "$OP/distribute.sh" --host k8smaster1; says '5678-two is missing'
    ! grep '^ssh ' "$BOX/calls" || die "a host was spoken to"
}

# Packages and programs are there or not, none in between; policy-rc.d is the host's own; another run ends it.
packages_end() {
    [[ ! -e /usr/sbin/policy-rc.d.khagen-kept || -e /usr/sbin/policy-rc.d ]] || die "${FAILED_AT-}: policy-rc.d is gone"
    code 0 "$BOX/b2/install.sh"
    [[ $(is_installed kh-a-daemon) == '1.1 installed' && $(</usr/local/bin/kh-etcd) == 'a newer program' ]] || die "${FAILED_AT-}: not installed"
    grep -q '# of the host' /usr/sbin/policy-rc.d || die "${FAILED_AT-}: the host's policy-rc.d is gone"
    [[ ! -e /usr/sbin/policy-rc.d.khagen-kept && ! -e /var/lib/khagen/packages.changed ]] || die "${FAILED_AT-}: left behind"
    host_again start
}
case_faults_tools_of_install_packages() {
    prepare_packages
    printf '#!/bin/sh\n# of the host\nexit 104\n' >/usr/sbin/policy-rc.d
    chmod 0755 /usr/sbin/policy-rc.d
    deb kh-a-daemon 1.0
    printf 'a program\n' >"$BOX/packages/0123-etcd"
    printf 'a newer program\n' >"$BOX/packages/4567-etcd"
    bundle "$BOX/b1" 1
    UNITS='{"unit": "demo.service", "enable": true, "start": true, "restartOn": ["/usr/local/bin/kh-etcd"], "reloadOn": []},
{"unit": "kh-a-daemon.service", "enable": true, "start": true, "restartOn": [], "reloadOn": []}'
    with_packages "$BOX/b1" 1 "$(deb_line kh-a-daemon 1.0)" "$(program_line /usr/local/bin/kh-etcd 0123-etcd)"
    set +x
    code 0 "$BOX/b1/install.sh"
    deb kh-a-daemon 1.1
    cp -a "$BOX/b1" "$BOX/b2"
    with_packages "$BOX/b2" 2 "$(deb_line kh-a-daemon 1.1)" "$(program_line /usr/local/bin/kh-etcd 4567-etcd)"
    keep_host start
    # the rest of install.sh is faults_tools_of_install's
    LEAST=6 MATCHING='^(dpkg|apt-get|df|install)|policy-rc|packages|kh-' AFTER=packages_end tools "$BOX/b2/install.sh"
}

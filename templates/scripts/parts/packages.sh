# ---- packages: what travels beside the bundle, Debian packages and programs, installed without a network ----
# Packages come first, on their own: what they unpack, the daemons' readers and units need. dpkg has no way back, so they
# stay when the rest is undone. Programs are files like others: backed up, swapped, put back.
PACKAGES=''             # the folder that holds them
DEBS=()                 # "package|version|architecture|file|size|sha256", in the order in which they can be unpacked
PROGRAMS=()             # "path|mode|from|file|size|sha256"
DEBS_TODO=()            # those of DEBS that are not installed here
PROGRAMS_TODO=()        # those of PROGRAMS whose bytes are not in place
DEBS_DONE=''            # what this run has installed
declare -A IS_INSTALLED=()      # package to version
RESTART_LATER=$STATE/packages.changed   # packages that were replaced and whose units still run the former program
POLICY=/usr/sbin/policy-rc.d            # Debian policy 9.11: invoke-rc.d and deb-systemd-invoke ask it whether to start
POLICY_KEPT=$POLICY.khagen-kept
POLICY_MARK='# khagen: packages start nothing while they are installed'

load_packages() {
    lines DEBS entries debs package version architecture file size sha256
    lines PROGRAMS entries binaries path mode from file size sha256
    find_missing
}
# What the manifest names and this host has not.
find_missing() {
    local entry package version file sha status
    DEBS_TODO=() PROGRAMS_TODO=()
    if [[ ${#DEBS[@]} -gt 0 ]]; then
        command -v dpkg >/dev/null || finish 6 "this host has no dpkg, and its bundle brings Debian packages"
        read_installed
    fi
    for entry in "${DEBS[@]}"; do
        IFS='|' read -r package version _ <<<"$entry"
        status=${IS_INSTALLED[$package]-}
        if [[ $status == "$version" ]]; then continue; fi
        if [[ -n $status ]] && is_newer "$status" "$version"; then continue; fi
        DEBS_TODO+=("$entry")
    done
    for entry in "${PROGRAMS[@]}"; do
        IFS='|' read -r package _ _ _ _ sha <<<"$entry"
        [[ $package =~ ^/[A-Za-z0-9._@/+-]+$ && $package != */..* ]] || finish 4 "MANIFEST.json: '$package' is no path to install to"
        file=''
        if [[ -f $package && ! -L $package ]]; then
            digest "$package"
            file=$DIGEST
        fi
        if [[ $file != "$sha" ]]; then PROGRAMS_TODO+=("$entry"); fi
    done
}
read_installed() {
    local entry package version status known=()
    lines known dpkg-query --show --showformat="\${Package}|\${Version}|\${db:Status-Status}\\n"
    IS_INSTALLED=()
    for entry in "${known[@]}"; do
        IFS='|' read -r package version status <<<"$entry"
        if [[ $status == installed ]]; then IS_INSTALLED[$package]=$version; fi
    done
}
# A host may have got a later one by its own means (a security update): it is kept, and no package goes backwards.
is_newer() {
    local code=0
    dpkg --compare-versions "$1" gt "$2" || code=$?
    case $code in 0) return 0 ;; 1) return 1 ;; *) finish 1 "dpkg cannot compare versions $1 and $2 (it ended with $code)" ;; esac
}

# What is to be installed lies beside the bundle, and is what the manifest says: before anything is touched.
check_packages() {
    local entry file size sha is architecture
    if [[ $((${#DEBS_TODO[@]} + ${#PROGRAMS_TODO[@]})) -eq 0 ]]; then return 0; fi
    if [[ -z $PACKAGES ]]; then PACKAGES=$HERE/../packages; fi
    for entry in "${DEBS_TODO[@]}" "${PROGRAMS_TODO[@]}"; do
        IFS='|' read -r _ _ _ file size sha <<<"$entry"
        [[ $file =~ ^[A-Za-z0-9][A-Za-z0-9._+~:=@-]*$ ]] || finish 4 "MANIFEST.json: '$file' is no name of a file"
        [[ -f $PACKAGES/$file ]] ||
            finish 6 "$file is not in $PACKAGES: carry packages/ of khagen's output there (distribute.sh does), or say --packages DIR"
        is=$(stat -L -c %s -- "$PACKAGES/$file")
        digest "$PACKAGES/$file"
        [[ $is == "$size" && $DIGEST == "$sha" ]] ||
            finish 4 "$PACKAGES/$file is damaged, or another file than the one that was reviewed: carry it here again"
    done
    if [[ ${#DEBS_TODO[@]} -eq 0 ]]; then return 0; fi
    is=$(dpkg --print-architecture)
    for entry in "${DEBS_TODO[@]}"; do
        IFS='|' read -r file _ architecture _ <<<"$entry"
        [[ $architecture == all || $architecture == "$is" ]] ||
            finish 6 "package $file is for $architecture, this host is $is"
    done
    check_dependencies
}
deb_files() {
    local entry file
    for entry in "${DEBS_TODO[@]}"; do
        IFS='|' read -r _ _ _ file _ <<<"$entry"
        printf '%s\n' "$PACKAGES/$file"
    done
}
# apt only looks: at what is installed and at these files, not at any list of packages of its own. It writes nothing.
check_dependencies() {
    local debs=() said code=0
    command -v apt-get >/dev/null || return 0      # dpkg will say
    lines debs deb_files
    said=$(apt-get --simulate --no-download --no-remove --no-install-recommends --allow-downgrades --allow-change-held-packages \
        -o Dir::Etc::SourceList=/dev/null -o Dir::Etc::SourceParts=/dev/null -o Dir::Cache::pkgcache= -o Dir::Cache::srcpkgcache= \
        -o Dir::Log::Planner=/dev/null -o Debug::NoLocking=1 install "${debs[@]}" 2>&1) || code=$?
    if [[ $code -ne 0 ]]; then printf '%s\n' "$said" >&2; fi
    # 100 is apt's word on what it was asked
    if [[ $code -ne 0 && $code -ne 100 ]]; then finish 1 "apt-get ended with $code (its reason is above); nothing was touched"; fi
    if [[ $code -ne 0 ]]; then
        finish 6 "these packages do not fit this host (apt's reason is above): add what they need to the inventory's artifacts, or install it"
    fi
}
check_packages_room() {
    local entry file size path kib need=0 free
    for entry in "${DEBS_TODO[@]}"; do
        IFS='|' read -r _ _ _ file size _ <<<"$entry"
        kib=$(dpkg-deb --field "$PACKAGES/$file" Installed-Size)
        if ! [[ $kib =~ ^[0-9]+$ ]]; then kib=$((size / 256)); fi
        need=$((need + kib + 1024))
    done
    if [[ $need -gt 0 ]]; then has_room /usr "$need"; has_room /var/lib/dpkg 8192; fi
    for entry in "${PROGRAMS_TODO[@]}"; do
        IFS='|' read -r path _ _ _ size _ <<<"$entry"
        path=${path%/*}
        while [[ ! -d $path ]]; do path=${path%/*}; done
        has_room "${path:-/}" "$((2 * size / 1024 + 1024))"
        has_room "$STATE" "$((2 * size / 1024 + 1024))"
    done
}
has_room() {
    local free
    free=$(df --output=avail -k -- "$1" | tail -n 1)
    [[ $free -ge $2 ]] || finish 6 "the file system of $1 has $free KiB free; the packages and programs need $2 KiB"
}

# brings COMMAND: is it one of the programs that travel with this bundle?
brings() {
    local entry path
    for entry in "${PROGRAMS[@]}"; do
        path=${entry%%|*}
        if [[ $path == "$1" || ${path##*/} == "$1" ]]; then return 0; fi
    done
    return 1
}

show_debs() {
    local entry package version
    for entry in "${DEBS_TODO[@]}"; do
        IFS='|' read -r package version _ <<<"$entry"
        result "install package $package $version${IS_INSTALLED[$package]+ (${IS_INSTALLED[$package]} is installed)}"
    done
}
# hold_services, release_services: packages start, restart and stop nothing; install.sh does, when all is in place. What the
# host had is put back also after a kill: the next run begins with release_services.
hold_services() {
    printf '#!/bin/sh\n%s\nexit 101\n' "$POLICY_MARK" >"$POLICY.khagen-new" || return 1
    chmod 0755 -- "$POLICY.khagen-new" || return 1
    if there "$POLICY"; then cp -a -T -- "$POLICY" "$POLICY_KEPT" || return 1; fi
    mv -f -T -- "$POLICY.khagen-new" "$POLICY"
}
release_services() {
    local text
    if there "$POLICY_KEPT"; then
        mv -f -T -- "$POLICY_KEPT" "$POLICY" || return 1
    elif [[ -f $POLICY ]]; then
        text=$(<"$POLICY") || return 1
        if [[ $'\n'$text$'\n' == *$'\n'"$POLICY_MARK"$'\n'* ]]; then rm -f -- "$POLICY" || return 1; fi
    fi
    if there "$POLICY.khagen-new"; then rm -f -- "$POLICY.khagen-new"; fi
}
install_debs() {
    local entry package debs=() code=0
    release_services
    if [[ ${#DEBS_TODO[@]} -eq 0 ]]; then return 0; fi
    open_log
    show_debs
    lines debs deb_files
    for entry in "${DEBS_TODO[@]}"; do
        package=${entry%%|*}
        if [[ -n ${IS_INSTALLED[$package]-} ]]; then printf '%s\n' "$package"; fi
    done >>"$RESTART_LATER"
    sync -f -- "$STATE"
    UNDO=release_services
    hold_services
    (umask 022 && DEBIAN_FRONTEND=noninteractive dpkg --force-confdef --force-confold --auto-deconfigure --install "${debs[@]}" 9>&- >&2) || code=$?
    release_services
    UNDO=''
    if [[ $code -ne 0 ]]; then
        finish 1 "dpkg ended with $code (its reason is above). Nothing but packages was touched; cure what it names and run this again"
    fi
    for entry in "${DEBS_TODO[@]}"; do DEBS_DONE+="${DEBS_DONE:+ }${entry%%|*}"; done
    find_missing
    if [[ ${#DEBS_TODO[@]} -gt 0 ]]; then finish 1 "dpkg says that it is done, but ${DEBS_TODO[0]%%|*} is not installed"; fi
    say "packages are installed (and stay, whatever becomes of the rest): $DEBS_DONE"
}

# Adds the programs to ACTIONS.
plan_programs() {
    local entry path mode is
    for entry in "${PROGRAMS[@]}"; do
        IFS='|' read -r path mode _ <<<"$entry"
        if [[ " ${PROGRAMS_TODO[*]}" == *" $path|"* ]]; then
            is=replace
            if ! there "$path"; then is=create; fi
            if [[ -d $path && ! -L $path ]]; then finish 1 "$path is a directory here; the bundle has a program for it"; fi
            ACTIONS+=("$is|$path|$mode|root|root|binary")
            continue
        fi
        is=$(stat -c '%04a %U %G' -- "$path")
        if [[ $is != "$mode root root" ]]; then ACTIONS+=("chmod|$path|$mode|root|root|binary"); fi
    done
}
# program_file PATH: sets PROGRAM, the file that goes there.
program_file() {
    local entry path file
    PROGRAM=''
    for entry in "${PROGRAMS[@]}"; do
        IFS='|' read -r path _ _ file _ <<<"$entry"
        if [[ $path == "$1" ]]; then PROGRAM=$PACKAGES/$file; fi
    done
}
# stage_programs DIR: beside the staged files, for the readers of units and configuration.
stage_programs() {
    local entry path mode
    for entry in "${PROGRAMS_TODO[@]}"; do
        IFS='|' read -r path mode _ <<<"$entry"
        if ! [[ $path =~ ^/(etc|usr)/ ]]; then continue; fi
        program_file "$path"
        install -D -m "$mode" -T -- "$PROGRAM" "$1$path"
    done
}
# A package that was replaced left its daemon running as it was. kubelet waits for `reconfigure.sh upgrade`, which drains first.
plan_restarts() {
    local entry unit package packages=() said code
    if [[ ! -s $RESTART_LATER ]]; then return 0; fi
    lines packages sort -u -- "$RESTART_LATER"
    for package in "${packages[@]}"; do
        code=0
        said=$(dpkg-query --listfiles "$package" 2>/dev/null) || code=$?
        # 1: no such package any more
        case $code in 0) ;; 1) continue ;; *) finish 1 "dpkg-query ended with $code" ;; esac
        for entry in "${UNITS[@]}"; do
            unit=${entry%%|*}
            if [[ $unit == kubelet.service || " ${UNIT_ACTIONS[*]} " == *"|$unit "* ]]; then continue; fi
            if [[ $said$'\n' != *"/systemd/system/$unit"$'\n'* ]]; then continue; fi
            unit_state "$unit"
            if [[ $RUNNING == yes ]]; then UNIT_ACTIONS+=("restart|$unit"); fi
        done
    done
}
# ---- end of packages ----

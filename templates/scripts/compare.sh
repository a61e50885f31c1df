# ---- compare: how a file on the host differs from the manifest ----
declare -A SUM=() IS=()         # of the files that are there: path to digest, and to "MODE OWNER GROUP"
# look: what is at the manifest's paths now.
look() {
    local entry path all=() said=()
    SUM=() IS=()
    for entry in "${FILES[@]}"; do
        path=${entry%%|*}
        if [[ -f $path && ! -L $path ]]; then all+=("$path"); fi
    done
    if [[ ${#all[@]} -eq 0 ]]; then return 0; fi
    lines said sha256sum -- "${all[@]}"
    for entry in "${said[@]}"; do SUM[${entry#*  }]=${entry%% *}; done
    lines said stat -c '%n|%04a %U %G' -- "${all[@]}"
    for entry in "${said[@]}"; do IS[${entry%%|*}]=${entry#*|}; done
}
# The manifest's entries, their values separated by "|".
load_manifest() {
    lines DIRECTORIES entries directories path mode owner group
    lines UNITS entries units unit enable start restartOn reloadOn
    lines FILES entries files path mode owner group policy sha256
}
# block_of FILE CLUSTER: the lines between our markers in a file that is not ours.
block_of() {
    if [[ ! -f $1 ]]; then return 0; fi
    awk -v begin="# BEGIN khagen $2" -v end="# END khagen $2" '
        $0 == end { inside = 0 } inside { print } $0 == begin { inside = 1 }' "$1"
}
# A marker without its partner would make us swallow the rest of somebody's file.
markers_ok() {
    awk -v begin="# BEGIN khagen $2" -v end="# END khagen $2" '
        $0 == begin { begins++; open = 1 } $0 == end { ends++; if (!open) bad = 1; open = 0 }
        END { print (begins == ends && begins <= 1 && !bad) ? "yes" : "no" }' "$1"
}

# After look: file_action PATH MODE OWNER GROUP POLICY SHA256: sets ACTION to what would make PATH as the manifest
# says (create, replace, chmod, edit, remove), or to nothing.
file_action() {
    local path=$1 mode=$2 owner=$3 group=$4 policy=$5 sha=$6 is cluster
    ACTION=''
    if [[ -d $path && ! -L $path ]]; then finish 1 "$path is a directory here; the bundle has a file of that name"; fi
    case $policy in
        managed | input)
            if ! there "$path"; then
                ACTION='create'
            elif [[ -L $path || ! -f $path ]]; then
                ACTION='replace'
            else
                if [[ ${SUM[$path]} != "$sha" ]]; then
                    ACTION='replace'
                elif [[ ${IS[$path]} != "$mode $owner $group" ]]; then
                    ACTION='chmod'
                fi
            fi ;;
        create-once)
            if ! there "$path"; then ACTION='create'; fi ;;
        absent)
            if there "$path"; then ACTION='remove'; fi ;;
        block)
            cluster=$(field cluster)
            if [[ ! -f $path ]]; then
                ACTION='create'
            else
                DIGEST=$(block_of "$path" "$cluster" | sha256sum)
                if [[ ${DIGEST%% *} != "$sha" ]]; then
                    is=$(markers_ok "$path" "$cluster")
                    [[ $is == yes ]] || finish 1 "$path: khagen's BEGIN and END lines do not pair up; repair the file by hand"
                    ACTION='edit'
                fi
            fi ;;
        *) finish 1 "policy '$policy' of $path is not one that this script knows" ;;
    esac
}

# ---- end of compare ----

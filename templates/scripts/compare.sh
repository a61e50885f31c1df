# ---- compare: how a file on the host differs from the manifest ----
# block_of FILE CLUSTER: the lines between our markers in a file that is not ours.
block_of() {
    if [[ ! -f $1 ]]; then return 0; fi
    awk -v begin="# BEGIN khagen $2" -v end="# END khagen $2" '
        $0 == end { inside = 0 } inside { print } $0 == begin { inside = 1 }' "$1"
}
# A marker without its partner would make us swallow the rest of somebody's file.
markers_ok() {
    local begins ends
    begins=$(grep -c -Fx -e "# BEGIN khagen $2" -- "$1" || :)
    ends=$(grep -c -Fx -e "# END khagen $2" -- "$1" || :)
    [[ $begins == "$ends" && $begins -le 1 ]]
}

# file_action PATH MODE OWNER GROUP POLICY SHA256: sets ACTION to what would make PATH as the manifest
# says (create, replace, chmod, edit, remove), or to nothing.
file_action() {
    local path=$1 mode=$2 owner=$3 group=$4 policy=$5 sha=$6 sum
    ACTION=''
    if [[ -d $path && ! -L $path ]]; then finish 1 "$path is a directory here; the bundle has a file of that name"; fi
    case $policy in
        managed | input)
            if ! there "$path"; then
                ACTION='create'
            elif [[ -L $path || ! -f $path || $(digest "$path") != "$sha" ]]; then
                ACTION='replace'
            elif [[ $(stat -c '%04a %U %G' -- "$path") != "$mode $owner $group" ]]; then
                ACTION='chmod'
            fi ;;
        create-once)
            if ! there "$path"; then ACTION='create'; fi ;;
        absent)
            if there "$path"; then ACTION='remove'; fi ;;
        block)
            sum=$(block_of "$path" "$(field cluster)" | sha256sum)
            if [[ ! -f $path ]]; then
                ACTION='create'
            elif [[ ${sum%% *} != "$sha" ]]; then
                markers_ok "$path" "$(field cluster)" ||
                    finish 1 "$path: khagen's BEGIN and END lines do not pair up; repair the file by hand"
                ACTION='edit'
            fi ;;
        *) finish 1 "policy '$policy' of $path is not one that this script knows" ;;
    esac
}

# ---- end of compare ----

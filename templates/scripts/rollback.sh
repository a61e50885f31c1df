#!/bin/bash
# Usage: rollback.sh [--dry-run] [GENERATION]
#        rollback.sh --resume
#
# Puts back what install.sh replaced: files with their modes and owners, and the units' state, as
# they were when GENERATION was installed (default: the one before). The first generation is taken
# back by uninstall.sh. Users that were created stay, and so does what other programs wrote.
# A generation whose certificates have expired is refused, and one whose certificates or trust no
# longer fit those of today: the other hosts would turn this one away, or it them.
#
#   --dry-run   list what would be put back; write nothing; exit 2 if there is anything to do
#   --resume    only finish what was cut off (power, kill -9), going back to the old state
#
# Exit codes: 0 done or nothing to do, 1 error, 2 a dry run found changes, 5 no such generation is
# kept or another host's bundle, 6 a precondition is not met (root, a certificate of that
# generation has expired or is no longer trusted), 64 usage.

# @include prelude.sh
# @include host.sh

DRY=''
RESUME=''
GOAL=''
BACKUPS=()      # the backups to put back, newest first

# Collects BACKUPS until GOAL is reached.
choose() {
    local name='' generation from=$RECEIPT
    while :; do
        if [[ ! -f $from ]]; then finish 5 "generation $GOAL is not kept on this host; kept are: $(kept_generations)"; fi
        generation=$(MANIFEST=$from field generation)
        if [[ -z $GOAL && $from != "$RECEIPT" ]]; then GOAL=$generation; fi
        if [[ $generation == "$GOAL" ]]; then return 0; fi
        name=$(MANIFEST=$from field backup)
        [[ -f $STATE/backups/$name/INDEX ]] || finish 5 "the backup $name is gone from $STATE/backups"
        BACKUPS+=("$name")
        from=$STATE/backups/$name/receipt.json
        if [[ ! -f $from && -z $GOAL ]]; then
            finish 6 "generation $generation is the first on this host: uninstall.sh takes it back"
        fi
    done
}
kept_generations() { local all=''; chain one_generation; printf '%s' "${all# }"; }
one_generation() { all="$all $(MANIFEST=$2 field generation)"; }

# ---- the certificates of that generation, judged by today ----
declare -A LEAVES=() CAS=()     # "goal|PATH" and "today|PATH" to the certificates with a key of their own; CAs by "goal" and "today"

# held PATH: sets HELD, the file that will be at PATH afterwards: that of the oldest backup which has it, or the one in place.
held() {
    local name
    HELD=$1
    for name in "${BACKUPS[@]}"; do
        if [[ -f $STATE/backups/$name/files$1 ]]; then HELD=$STATE/backups/$name/files$1; fi
    done
}
# sort_out goal|today MANIFEST: a generation's certificates, into LEAVES and CAS.
sort_out() {
    local path text pem paths=()
    MANIFEST=$2 lines paths entries files path
    for path in "${paths[@]}"; do
        HELD=$path
        if [[ $1 == goal ]]; then held "$path"; fi
        if [[ ! -f $HELD ]]; then continue; fi
        case $path in
            *.crt)
                pem=$(<"$HELD")
                text=$(openssl x509 -noout -text <<<"$pem") || finish 1 "$path: openssl reads no certificate in it"
                if [[ $text == *CA:TRUE* ]]; then CAS[$1]+=$pem$'\n'; fi
                if [[ $text != *CA:TRUE* || " ${paths[*]} " == *" ${path%.crt}.key "* ]]; then LEAVES["$1|$path"]=$pem; fi ;;
            /etc/kubernetes/*.conf)
                text=$(sed -n 's/^ *client-certificate-data: *//p' -- "$HELD")
                if [[ -n $text ]]; then
                    pem=$(base64 -d <<<"$text")
                    LEAVES["$1|$path"]=$pem
                fi ;;
        esac
    done
}
# trusted PEM CAS: is the certificate signed by one of these? Its dates are another question.
trusted() {
    local said code=0
    if [[ -z $2 ]]; then return 0; fi
    said=$(openssl verify -no_check_time -partial_chain -CAfile <(printf '%s' "$2") -untrusted <(printf '%s' "$1") <<<"$1" 2>&1) || code=$?
    # that the chain does not hold it says with 2 and in words
    case $code:$said in 0:*) return 0 ;; 2:*'verification failed'*) return 1 ;; *) finish 1 "openssl verify ended with $code" ;; esac
}
check_certificates() {
    local oldest=$STATE/backups/${BACKUPS[-1]} key path pem code
    if [[ ! -f $oldest/installed/MANIFEST.json ]]; then return 0; fi
    sort_out goal "$oldest/installed/MANIFEST.json"
    sort_out today "$STATE/installed/MANIFEST.json"
    for key in "${!LEAVES[@]}"; do
        path=${key#*|} pem=${LEAVES[$key]}
        if [[ $key == today* ]]; then
            trusted "$pem" "${CAS[goal]-}" ||
                finish 6 "generation $GOAL does not trust the CA that signed today's $path, so not the other hosts either: build and install anew instead"
            continue
        fi
        code=0
        openssl x509 -noout -checkend 0 <<<"$pem" >/dev/null || code=$?
        case $code in
            0) ;;
            1) finish 6 "$path of generation $GOAL has expired: build and install anew instead" ;;
            *) finish 1 "openssl x509 ended with $code" ;;
        esac
        trusted "$pem" "${CAS[today]-}" ||
            finish 6 "$path of generation $GOAL is signed by a CA that is no longer trusted: build and install anew instead"
    done
}

show() {
    local name kind path
    for name in "${BACKUPS[@]}"; do
        while IFS='|' read -r kind path _; do
            case $kind in file | dir) result "put back $path" ;; none) result "remove $path" ;; esac
        done <"$STATE/backups/$name/INDEX"
    done
}

main() {
    while [[ $# -gt 0 ]]; do
        case $1 in
            --dry-run) DRY=yes ;;
            --resume) RESUME=yes ;;
            --help | -h) show_usage; finish 0 ;;
            *) [[ $1 =~ ^[0-9]+$ && -z $GOAL ]] || { show_usage >&2; finish 64; }
                GOAL=$1 ;;
        esac
        shift
    done
    need_root
    check_belongs
    if [[ -z $DRY ]]; then
        take_lock
        open_log
        recover
    elif [[ -f $PENDING ]]; then
        say "an earlier run was cut off: rollback.sh would first put back what was there before it"
    fi
    if [[ -n $RESUME ]]; then finish 0 "nothing is left half done"; fi
    [[ -f $RECEIPT ]] || finish 5 "nothing is installed here"
    choose
    if [[ ${#BACKUPS[@]} -eq 0 ]]; then finish 0 "generation $GOAL is installed: nothing to do"; fi
    check_certificates
    if [[ -n $DRY ]]; then
        show
        finish 2 "dry run: nothing was written"
    fi
    merged "${BACKUPS[@]}"
    say "putting back what ${BACKUPS[*]} replaced"
    put_back "$MERGED" || finish 1
    finish 0 "generation $GOAL is installed again"
}

main "$@"

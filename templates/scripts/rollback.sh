#!/bin/bash
# Usage: rollback.sh [--dry-run] [GENERATION]
#        rollback.sh --resume
#
# Puts back what install.sh replaced: files with their modes and owners, and the units' state, as
# they were when GENERATION was installed (default: the one before). The first generation is taken
# back by uninstall.sh. Users that were created stay, and so does what other programs wrote.
#
#   --dry-run   list what would be put back; write nothing; exit 2 if there is anything to do
#   --resume    only finish what was cut off (power, kill -9), going back to the old state
#
# Exit codes: 0 done or nothing to do, 1 error, 2 a dry run found changes, 5 no such generation is
# kept, 6 a precondition is not met (root, a certificate in the backup has expired), 64 usage.

# @include prelude.sh
# @include host.sh

DRY=''
RESUME=''
GOAL=''

# chain: the backups to put back, newest first, until GOAL is reached; sets CHAIN.
CHAIN=()
chain() {
    local name generation from=$RECEIPT
    while :; do
        if [[ ! -f $from ]]; then finish 5 "generation $GOAL is not kept on this host; kept are: $(kept)"; fi
        generation=$(MANIFEST=$from field generation)
        if [[ -z $GOAL && $from != "$RECEIPT" ]]; then GOAL=$generation; fi
        if [[ $generation == "$GOAL" ]]; then return 0; fi
        name=$(MANIFEST=$from field backup)
        [[ -f $STATE/backups/$name/INDEX ]] || finish 5 "the backup $name is gone from $STATE/backups"
        CHAIN+=("$name")
        from=$STATE/backups/$name/receipt.json
        if [[ ! -f $from && -z $GOAL ]]; then
            finish 6 "generation $generation is the first on this host: uninstall.sh takes it back"
        fi
    done
}
kept() {
    local from=$RECEIPT all=''
    while [[ -f $from ]]; do
        all="$all $(MANIFEST=$from field generation)"
        from=$STATE/backups/$(MANIFEST=$from field backup)/receipt.json
    done
    printf '%s' "${all# }"
}

check_expired() {
    local name crt
    for name in "${CHAIN[@]}"; do
        while read -r crt; do
            if ! openssl x509 -in "$crt" -noout -checkend 0 >/dev/null 2>&1; then
                finish 6 "${crt#"$STATE/backups/$name/files"} of that generation has expired: build and install anew instead"
            fi
        done < <(find "$STATE/backups/$name/files" -type f -name '*.crt')
    done
}

main() {
    local name kind path
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
    if [[ -z $DRY ]]; then
        take_lock
        open_log
        recover
    fi
    if [[ -n $RESUME ]]; then finish 0 "nothing is left half done"; fi
    [[ -f $RECEIPT ]] || finish 5 "nothing is installed here"
    chain
    if [[ ${#CHAIN[@]} -eq 0 ]]; then finish 0 "generation $GOAL is installed: nothing to do"; fi
    check_expired
    if [[ -n $DRY ]]; then
        for name in "${CHAIN[@]}"; do
            while IFS='|' read -r kind path _; do
                case $kind in file | dir) result "put back $path" ;; none) result "remove $path" ;; esac
            done <"$STATE/backups/$name/INDEX"
        done
        finish 2 "dry run: nothing was written"
    fi
    for name in "${CHAIN[@]}"; do
        say "putting back what $name replaced"
        put_back "$name" || finish 1
    done
    finish 0 "generation $GOAL is installed again"
}

main "$@"

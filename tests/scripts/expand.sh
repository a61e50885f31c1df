#!/bin/bash
# expand.sh SCRIPT: prints SCRIPT with every "# @include FILE" line replaced by that file, as khagen packs it.
set -euo pipefail
cd -- "$(dirname -- "$0")/../../templates/scripts"
while IFS= read -r line; do
    if [[ $line == '# @include '* ]]; then cat -- "${line#\# @include }"; else printf '%s\n' "$line"; fi
done <"$1"

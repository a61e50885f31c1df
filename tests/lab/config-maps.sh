#!/bin/bash
# config-maps.sh ENDPOINT FOLDER: at the lab's bastion, creates ConfigMaps n-1, n-2 ... in the namespace `lab`, one after the other,
# through ENDPOINT, with FOLDER's ca.crt, admin.crt and admin.key. A number is gone on with only when the API server has
# acknowledged it: 201, or 409 after an attempt whose answer got lost. Ends when FOLDER/writes.end is there. Appends to FOLDER/writes,
# times in seconds since 1970:
#
#   ack N TIME ATTEMPTS
#   fail N TIME CURL-CODE HTTP-CODE
set -euo pipefail
URL=https://$1/api/v1/namespaces/lab/configmaps
cd -- "$2"
attempt=0
n=1
while [[ ! -e writes.end ]]; do
    attempt=$((attempt + 1))
    code=0
    answer=$(curl --silent --connect-timeout 1 --max-time 3 --output /dev/null --write-out '%{http_code}' --cacert ca.crt --cert admin.crt \
        --key admin.key --header 'Content-Type: application/json' \
        --data "{\"apiVersion\":\"v1\",\"kind\":\"ConfigMap\",\"metadata\":{\"name\":\"n-$n\"},\"data\":{\"n\":\"$n\"}}" "$URL") || code=$?
    if [[ $answer == 201 || ($answer == 409 && $attempt -gt 1) ]]; then
        printf 'ack %s %s %s\n' "$n" "$EPOCHREALTIME" "$attempt" >>writes
        n=$((n + 1))
        attempt=0
    else
        printf 'fail %s %s %s %s\n' "$n" "$EPOCHREALTIME" "$code" "$answer" >>writes
    fi
    sleep 0.05
done

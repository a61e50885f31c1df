#!/usr/bin/env bash
# The PKI of the eleven-host cluster with openssl in a shell script, as tutorials do it: the same number of CAs, leaf
# certificates and keys, P-256, SANs and usages. Prints nothing; time it.
#
#   benches/openssl.sh FOLDER CERTIFICATES
set -euo pipefail
dir=$1
count=$2
mkdir -p "$dir"
cd "$dir"
for ca in kubernetes front-proxy etcd etcd-peer; do
    openssl ecparam -name prime256v1 -genkey -noout -out "$ca.key" 2>/dev/null
    openssl req -x509 -new -key "$ca.key" -subj "/CN=$ca" -days 3650 -out "$ca.crt" 2>/dev/null
done
openssl ecparam -name prime256v1 -genkey -noout -out sa.key 2>/dev/null
openssl ec -in sa.key -pubout -out sa.pub 2>/dev/null
for ((i = 4; i < count; i++)); do
    printf 'subjectAltName=DNS:host%d.example.com,DNS:host%d,IP:192.0.2.1,IP:127.0.0.1\nextendedKeyUsage=serverAuth,clientAuth\nbasicConstraints=critical,CA:FALSE\nkeyUsage=critical,digitalSignature\n' \
        "$i" "$i" >ext
    openssl ecparam -name prime256v1 -genkey -noout -out "leaf$i.key" 2>/dev/null
    openssl req -new -key "leaf$i.key" -subj "/CN=host$i" -out leaf.csr 2>/dev/null
    openssl x509 -req -in leaf.csr -CA kubernetes.crt -CAkey kubernetes.key -CAcreateserial -days 365 -extfile ext \
        -out "leaf$i.crt" 2>/dev/null
done

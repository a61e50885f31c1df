#!/usr/bin/env bash
# Makes the CAs of tests/diagnostics/KH0620 to KH0629 anew with openssl: imported-cas.sh DIAGNOSTICS-FOLDER. Certificates
# hold from 2026 to 2046; the tests judge them on 2026-11-22. The keys are of no use anywhere else.
set -euo pipefail
cd -- "$1"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

key() { # FILE [CURVE | rsa BITS]
    if [[ ${2:-} == rsa ]]; then openssl genrsa -traditional "$3" >"$1" 2>/dev/null
    else openssl genpkey -algorithm EC -pkeyopt "ec_paramgen_curve:${2:-P-256}" >"$1"; fi
}

# ca SUBJECT KEY OUT EXTENSIONS [ISSUER-CERT ISSUER-KEY [END]]
ca() {
    local subject=$1 key=$2 out=$3 extensions=$4 cert=${5:-} by=${6:-} end=${7:-20460101000000Z}
    rm -rf "$work/db" && mkdir "$work/db" && : >"$work/db/index"
    openssl rand -hex 16 | sed 's/^./4/' >"$work/db/serial"
    openssl req -new -utf8 -subj "$subject" -key "$key" -config <(printf '[req]\ndistinguished_name=dn\n[dn]\n') >"$work/csr"
    cat >"$work/conf" <<CONF
[ca]
default_ca = ca
[ca]
database = $work/db/index
serial = $work/db/serial
new_certs_dir = $work/db
default_md = ${MD:-sha256}
policy = any
preserve = yes
[any]
[ext]
subjectKeyIdentifier = hash
$extensions
CONF
    local signer=(-selfsign -keyfile "$key")
    if [[ -n $cert ]]; then signer=(-cert "$cert" -keyfile "$by"); fi
    openssl ca -batch -notext -config "$work/conf" -extensions ext -startdate 20260101000000Z -enddate "$end" \
        "${signer[@]}" -in "$work/csr" -out "$out" 2>"$work/said" || { cat "$work/said" >&2; exit 1; }
}

CA='basicConstraints = critical, CA:TRUE
keyUsage = critical, keyCertSign, cRLSign'
LAST='basicConstraints = critical, CA:TRUE, pathlen:0
keyUsage = critical, keyCertSign, cRLSign'
NAME=/CN=corp-etcd-ca

folder() { rm -rf "$1"; mkdir -p "$1/bad" "$1/good"; cd "$1"; }

(folder KH0620-import-unreadable
key "$work/k" rsa 2048
ca "$NAME" "$work/k" bad/ca.pem "$CA"
cp bad/ca.pem good/ca.pem
openssl rsa -traditional -aes128 -passout pass:secret -in "$work/k" -out bad/ca.key 2>/dev/null
cp "$work/k" good/ca.key)

(folder KH0621-import-other-key
key bad/ca.key; key "$work/k"
ca "$NAME" "$work/k" bad/ca.pem "$CA"
cp bad/ca.pem good/ca.pem
openssl ec -in "$work/k" -out good/ca.key 2>/dev/null)

(folder KH0622-import-no-ca
for it in bad good; do key $it/ca.key; done
ca "$NAME" bad/ca.key bad/ca.pem 'basicConstraints = critical, CA:FALSE'
ca "$NAME" good/ca.key good/ca.pem "$CA")

(folder KH0623-import-may-not-sign
key "$work/root"
for it in bad good; do key $it/ca.key rsa 2048; done
SUBJECT='/DC=org/DC=example/OU=PKI/CN=Example etcd CA'
ca "/DC=org/DC=example/CN=Example Root" "$work/root" "$work/root.pem" "$LAST"
ca "$SUBJECT" bad/ca.key "$work/ca.pem" 'basicConstraints = critical, CA:TRUE
keyUsage = critical, digitalSignature
extendedKeyUsage = serverAuth' "$work/root.pem" "$work/root"
cat "$work/ca.pem" "$work/root.pem" >bad/ca.pem
ca "/DC=org/DC=example/CN=Example Root" "$work/root" "$work/root.pem" "${LAST/pathlen:0/pathlen:1}"
ca "$SUBJECT" good/ca.key "$work/ca.pem" "$LAST" "$work/root.pem" "$work/root"
cat "$work/ca.pem" "$work/root.pem" >good/ca.pem)

(folder KH0624-import-validity
key "$work/root"
for it in bad good; do key $it/ca.key; done
ca "$NAME" bad/ca.key bad/ca.pem "$CA" '' '' 20260601000000Z
ca "$NAME" good/ca.key good/ca.pem "$CA" '' '' 20280601000000Z)

(folder KH0625-import-weak
key "$work/root"
openssl genpkey -algorithm ED25519 >bad/ca.key
MD=default ca "$NAME" bad/ca.key bad/ca.pem "$CA"
key good/ca.key P-521
MD=sha512 ca "$NAME" good/ca.key good/ca.pem "$CA")

(folder KH0626-import-constraints
for it in bad good; do key $it/ca.key P-384; done
ca "$NAME" bad/ca.key bad/ca.pem "$CA
nameConstraints = critical, permitted;DNS:example.com, permitted;IP:192.168.13.0/255.255.255.0"
ca "$NAME" good/ca.key good/ca.pem "$CA
nameConstraints = critical, permitted;DNS:isociel.com, permitted;DNS:localhost, permitted;DNS:k8setcd1, permitted;DNS:k8setcd2, permitted;DNS:k8setcd3, permitted;IP:192.168.13.0/255.255.255.0, permitted;IP:127.0.0.1/255.255.255.255, permitted;IP:::1/ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff, excluded;DNS:example.com")

(folder KH0627-import-chain
key "$work/root"; key "$work/other"
for it in bad good; do key $it/ca.key; done
ca "/CN=Example Root" "$work/root" "$work/root.pem" "$CA"
ca "/CN=Example Root" "$work/other" "$work/other.pem" "$CA"
ca "$NAME" bad/ca.key "$work/ca.pem" "$LAST" "$work/root.pem" "$work/root"
cat "$work/ca.pem" "$work/other.pem" >bad/ca.pem
ca "$NAME" good/ca.key "$work/ca.pem" "$LAST" "$work/root.pem" "$work/root"
cat "$work/root.pem" "$work/ca.pem" >good/ca.pem)

(folder KH0629-import-extension
for it in bad good; do key $it/ca.key; done
ca "$NAME" bad/ca.key bad/ca.pem "$CA
1.3.6.1.4.1.55555.1 = critical, ASN1:UTF8String:ours"
ca "$NAME" good/ca.key good/ca.pem "$CA
1.3.6.1.4.1.55555.1 = ASN1:UTF8String:ours")

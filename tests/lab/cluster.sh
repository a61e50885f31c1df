#!/bin/bash
# What the lab's tests share: the hosts of the output folder OUT by role, ways onto them, and stand-in API servers.
# Sourced; wants HERE, OUT and BOX (a folder for what is said).
export KHAGEN_LAB=${KHAGEN_LAB:-t$$}
KHAGEN_ORACLE=${KHAGEN_ORACLE:-$("$HERE/../oracle/build.sh")}
export KHAGEN_ORACLE
lab() { "$HERE/lab" "$@"; }

PASSED=0
FAILED=0
say() { printf '%s\n' "$*"; }
# check WHAT COMMAND...
check() {
    local what=$1
    shift
    if "$@"; then PASSED=$((PASSED + 1)); say "ok      $what"; else FAILED=$((FAILED + 1)); say "FAILED  $what"; fi
}
# codes WHAT CODE COMMAND...: it ends with CODE; what it said is in BOX/said.
codes() {
    local what=$1 code=$2 is=0
    shift 2
    "$@" >"$BOX/said" 2>&1 || is=$?
    check "$what" test "$is" -eq "$code"
    if [[ $is -ne $code ]]; then
        say "        it ended with $is:"
        tail -n 20 "$BOX/said"
    fi
}
said() { grep -E -e "$1" "$BOX/said" >/dev/null; }
unsaid() { ! said "$1"; }
now() { printf '%s' "$EPOCHREALTIME"; }
ms() { awk -v a="$1" -v b="$2" 'BEGIN { printf "%d", (b - a) * 1000 }'; }
within() {
    local end=$((SECONDS + $1))
    shift
    until "$@"; do
        if [[ $SECONDS -ge $end ]]; then return 1; fi
        sleep 0.2
    done
}
JSON=$OUT/review/cluster.json
of_role() { jq -r --arg r "$1" '.hosts[] | select(.roles | index($r)) | .fqdn' "$JSON"; }
mapfile -t HOSTS < <(jq -r '.hosts[].fqdn' "$JSON")
mapfile -t ETCD < <(of_role etcd)
mapfile -t BALANCERS < <(of_role load-balancer)
mapfile -t MASTERS < <(of_role control-plane)
mapfile -t WORKERS < <(of_role worker)
NODES=("${MASTERS[@]}" "${WORKERS[@]}")
address_of() { jq -r --arg h "$1" '.hosts[] | select(.fqdn == $h) | .addresses[0]' "$JSON"; }
VIP=$(jq -r '.vips[0].address | sub("/.*"; "")' "$JSON")
ENDPOINT=$(jq -r .endpoint "$JSON")
API_PORT=$(tar -xzOf "$OUT/bundles/${MASTERS[0]}.tar.gz" "${MASTERS[0]}/root/etc/kubernetes/kubeadm.yaml" | awk '/bindPort:/ { print $2; exit }')
API_PORT=${API_PORT:-6443}
INCOMING=/var/lib/khagen/incoming
OPERATOR=$BOX/bundles/operator
kubectl() { lab bastion kubectl --kubeconfig "$OPERATOR/admin.conf" --request-timeout=10s "$@"; }

# on HOST COMMAND...: by ssh, as the operator.
on() { local host=$1; shift; lab shell "$host" "$@" </dev/null; }
# on_all COMMAND: on every host at once, HOST in it stands for the FQDN; what each said is in BOX; fails if one does.
on_all() {
    local host pids=() pid bad=0
    for host in "${HOSTS[@]}"; do
        on "$host" "${1//HOST/$host}" >"$BOX/$host.out" 2>&1 &
        pids+=("$!")
    done
    for pid in "${pids[@]}"; do wait "$pid" || bad=1; done
    if [[ $bad -ne 0 ]]; then tail -n 3 "$BOX"/*.out >&2; fi
    return "$bad"
}
etcd_healthy() {
    lab bastion etcdctl --endpoints="$(paste -s -d , "$BOX/bundles/operator/etcd/endpoints")" --cacert="$BOX/bundles/operator/etcd/ca.crt" \
        --cert="$BOX/bundles/operator/etcd/operator.crt" --key="$BOX/bundles/operator/etcd/operator.key" endpoint health >"$BOX/health" 2>&1
}
holders() {
    local host
    for host in "${BALANCERS[@]}"; do
        if lab run "$host" ip -o addr show | grep -F -e " $VIP/" >/dev/null; then say "$host"; fi
    done
}
one_holder() { [[ $(holders | wc -l) -eq 1 ]]; }
answered() {
    lab bastion curl --silent --max-time 3 --cacert "$BOX/ca.crt" --resolve "$ENDPOINT:$VIP" "https://$ENDPOINT/" >"$BOX/answer" 2>&1 &&
        grep -x -e 'stand-in .*' "$BOX/answer" >/dev/null
}
# nginx with the API server's own certificate, where the API server will be.
stand_in() {
    on "$1" "mkdir -p /run/standin && cat >/run/standin/conf <<'END'
pid /run/standin/pid;
error_log /run/standin/error;
events {}
http {
    access_log off;
    keepalive_timeout 3600s;
    server {
        listen $API_PORT ssl;
        ssl_certificate /etc/kubernetes/pki/apiserver.crt;
        ssl_certificate_key /etc/kubernetes/pki/apiserver.key;
        location / { return 200 \"stand-in $1\n\"; }
    }
}
END
systemd-run --quiet --unit=standin-api --property=Type=forking nginx -c /run/standin/conf -e /run/standin/error"
}

# From tarballs to hosts with their bundles, as an operator carries them.
carried() {
    cp -a "$OUT/bundles" "$BOX/bundles"
    cp "$OUT/SHA256SUMS" "$BOX/SHA256SUMS"
    tar -xzpf "$BOX/bundles/operator.tar.gz" --no-same-owner -C "$BOX/bundles"
    tar -xzOf "$OUT/bundles/${MASTERS[0]}.tar.gz" "${MASTERS[0]}/root/etc/kubernetes/pki/ca.crt" >"$BOX/ca.crt"
    lab up "$OUT"
    lab bastion "$BOX/bundles/operator/distribute.sh" >"$BOX/distribute" 2>&1 || { cat "$BOX/distribute" >&2; return 1; }
}
# A new build of BOX/inventory, carried to the hosts in place of the former. What was said is in BOX/said.
built() {
    (cd "$BOX" && rm -rf bundles SHA256SUMS && "$KHAGEN" build "$BOX/inventory" -o "$OUT" >"$BOX/said" 2>&1 && cp -a "$OUT/bundles" "$OUT/SHA256SUMS" . &&
        tar -xzpf bundles/operator.tar.gz --no-same-owner -C bundles && lab bastion "$OPERATOR/distribute.sh" >>"$BOX/said" 2>&1) ||
        { tail -n 12 "$BOX/said"; return 1; }
}
# The images that kubeadm names, where they run: all at once.
images_there() {
    local host all few images pids=() pid bad=0
    mapfile -t all < <(on "${MASTERS[0]}" "kubeadm config images list --config /etc/kubernetes/kubeadm.yaml 2>/dev/null")
    mapfile -t few < <(printf '%s\n' "${all[@]}" | grep -E -e 'pause|proxy|dns')
    for host in "${NODES[@]}"; do
        images=("${few[@]}")
        if [[ " ${MASTERS[*]} " == *" $host "* ]]; then images=("${all[@]}"); fi
        lab shell "$host" bash -s -- "${images[@]}" <"$HERE/images.sh" >"$BOX/$host.images" 2>&1 &
        pids+=("$!")
    done
    for pid in "${pids[@]}"; do wait "$pid" || bad=1; done
    if [[ $bad -ne 0 ]]; then cat "$BOX"/*.images; fi
    return "$bad"
}

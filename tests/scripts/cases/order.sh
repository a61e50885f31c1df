# shellcheck shell=bash
# Scripts in the wrong order: refused, and nothing but khagen's own lock is there afterwards.

case_refuses_the_wrong_order() {
    bundle "$BOX/b" 1
    cp "$BOX/scripts/reconfigure.sh" "$BOX/b/"
    ROLES='"control-plane"' EXTRA='"kubeadm": "join",'
    seal "$BOX/b" 1
    picture >"$BOX/p1"
    code 6 "$BOX/b/up.sh" --wait 0; says 'run .*install.sh first'
    code 6 "$BOX/b/verify.sh"; says 'run install.sh'
    code 6 "$BOX/b/reconfigure.sh" control-plane; says 'run .*install.sh first'
    code 5 "$BOX/b/rollback.sh"; says 'nothing is installed here'
    code 0 "$BOX/b/uninstall.sh" --yes; says 'nothing to do'
    code 0 "$BOX/b/install.sh" && code 6 "$BOX/b/reconfigure.sh" control-plane
    says 'run up.sh'
    code 0 "$BOX/b/uninstall.sh" --yes
    picture >"$BOX/p2"; same "$BOX/p1" "$BOX/p2"
}
# A tarball under another host's name holds another host's bundle: its install.sh says so, and so does every other script.
case_refuses_a_swapped_tarball() {
    bundle "$BOX/b" 1
    sed -i 's/k8setcd1/k8setcd2/g; s/192.168.13.35/192.168.13.36/' "$BOX/b/MANIFEST.json"
    (cd "$BOX/b" && find . -type f ! -name SHA256SUMS -printf '%P\0' | xargs -0 sha256sum >SHA256SUMS)
    refused 5 'this bundle is for k8setcd2.isociel.com'
    code 5 "$BOX/b/up.sh"
    # one that was renamed and still calls itself as the bundle does has another address
    hostname k8setcd2
    refused 5 "none of the bundle's addresses"
}

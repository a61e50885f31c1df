#!/bin/bash
# pin.sh VERSION: writes the module file of another minor of Kubernetes beside this script, from upstream's own go.mod.
#
#   minors/pin.sh v1.37.2     writes 1.37.mod and 1.37.sum, for `go build -modfile=minors/1.37.mod`
#
# The sources are those of the newest pinned minor; what differs between minors is behind build tags (k8s1NN).
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
version=$1
minor=${version#v1.}
patch=${minor#*.}
minor=${minor%%.*}
upstream=$(go mod download -json "k8s.io/kubernetes@$version" | jq -r .GoMod)
file=minors/1.$minor.mod
{
    echo "module khagen.test/oracle/kubeadm"
    echo
    sed -n '/^go /p; /^godebug /p' "$upstream"
    printf '\nrequire (\n'
    for module in apimachinery apiserver component-base; do echo "	k8s.io/$module v0.$minor.$patch"; done
    echo "	k8s.io/kubelet v0.0.0"
    echo "	k8s.io/kubernetes $version"
    printf ')\n\n// What k8s.io/kubernetes names v0.0.0 is the tag that was cut together with it.\nreplace (\n'
    sed -nE "s|^\t(k8s\.io/[a-z-]+) => \./staging.*|\t\1 => \1 v0.$minor.$patch|p" "$upstream"
    echo ')'
} >"$file"
# A module proxy may lack a tag of one of them; the newest that it has holds the same types.
while read -r module tag; do
    while ! go mod download "$module@$tag" >/dev/null 2>&1; do
        older=$((${tag##*.} - 1))
        if [ "$older" -lt 0 ]; then
            echo "pin.sh: no tag of $module can be had" >&2
            exit 1
        fi
        sed -i "s|=> $module $tag\$|=> $module ${tag%.*}.$older|" "$file"
        tag=${tag%.*}.$older
    done
done < <(sed -nE 's|^\t\S+ => (k8s.io/[a-z-]+) (v.*)|\1 \2|p' "$file")
rm -f "${file%.mod}.sum"
# -e: a package that this minor lacks is behind a build tag.
GOFLAGS=-mod=mod go mod tidy -e -modfile="$file"

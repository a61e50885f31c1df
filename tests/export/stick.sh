#!/bin/bash
# stick.sh KHAGEN OUT WORK: exports to a real FAT file system, and takes it from there. Needs root, mkfs.vfat, and a kernel
# with vfat or else fusefat. Runs in a mount namespace of its own (it makes one).
set -euo pipefail
if [[ ${INSIDE-} != yes ]]; then INSIDE=yes exec unshare --mount "$0" "$@"; fi
KHAGEN=$1 OUT=$2 WORK=$3
STICK=$WORK/stick
die() { printf 'NOT AS IT SHOULD BE: %s\n' "$*"; exit 1; }
code() {
    local want=$1 got=0
    shift
    "$@" >"$WORK/said" 2>&1 || got=$?
    if [[ $got -ne $want ]]; then cat "$WORK/said"; die "$* ended with $got, not $want"; fi
}
says() { grep -E -e "$1" "$WORK/said" >/dev/null || { cat "$WORK/said"; die "nothing said about '$1'"; }; }

# insert OPTIONS: mounts the image, by the kernel's vfat or by fusefat
insert() {
    mkdir -p "$STICK"
    if grep -q -w vfat /proc/filesystems || modprobe vfat 2>/dev/null; then
        mount -t vfat -o "loop,$1" "$WORK/image" "$STICK"
        echo vfat >"$WORK/how"
    else
        fusefat -o "${1/rw/rw+}" "$WORK/image" "$STICK" >"$WORK/fusefat" 2>&1 || { cat "$WORK/fusefat"; die fusefat; }
        echo fusefat >"$WORK/how"
    fi
}
remove() { umount "$STICK"; while mountpoint -q "$STICK"; do sleep 0.1; done; }
# Large clusters: fusefat cannot make a folder of more than one.
fat() { rm -f "$WORK/image"; truncate -s "$1" "$WORK/image"; mkfs.vfat ${2:+-s "$2"} "$WORK/image" >/dev/null; }
# taken FOLDER: what was imported is what was exported, with the modes of keys
taken() {
    diff -r -x .gitignore -x .khagen-import -x hosts -x shared -x operator "$OUT" "$1" || die "$1 is another output"
    [[ $(stat -c %a "$1" "$1/bundles" "$1"/bundles/*.tar.gz | sort -u | tr '\n' ' ') == '600 700 ' ]] || die "modes"
}

# ---- no room: said before anything is written ----
fat 400K
insert rw
code 6 "$KHAGEN" export "$STICK" --from "$OUT"
says 'has room for [0-9]+ bytes'; says 'are lacking'; says 'Nothing was written'
[[ -z $(ls "$STICK") ]] || die "something was written"
remove

# ---- in parts, and back by a shell, from a medium that is read-only and not executable ----
fat 32M 64
insert rw
code 2 "$KHAGEN" export "$STICK" --from "$OUT" --chunk 20000 --dry-run
[[ -z $(ls "$STICK") ]] || die "a dry run wrote"
code 0 "$KHAGEN" export "$STICK" --from "$OUT" --chunk 20000
says 'holds private keys'
remove
fsck.vfat -n "$WORK/image" >"$WORK/said" || { cat "$WORK/said"; die "fsck.vfat"; }
insert ro,noexec
ls "$STICK"/bundles/*.002 >/dev/null || die "nothing was split"
(cd "$STICK" && sha256sum --quiet -c SHA256SUMS) || die "SHA256SUMS"
code 0 sh "$STICK/import.sh" "$WORK/by-sh"; taken "$WORK/by-sh"
code 0 bash "$STICK/import.sh" "$WORK/by-bash"; taken "$WORK/by-bash"
if command -v dash; then code 0 dash "$STICK/import.sh" "$WORK/by-dash"; taken "$WORK/by-dash"; fi
if command -v busybox; then
    code 0 busybox sh "$STICK/import.sh" "$WORK/by-busybox"; taken "$WORK/by-busybox"
fi
# again: an earlier import is replaced, anything else is not
code 0 sh "$STICK/import.sh" "$WORK/by-sh"; taken "$WORK/by-sh"
mkdir -p "$WORK/mine"; touch "$WORK/mine/file"
code 6 sh "$STICK/import.sh" "$WORK/mine"; says 'no import'
code 6 sh "$STICK/import.sh" --host nobody "$WORK/one"; says 'nobody'
code 64 sh "$STICK/import.sh"
code 0 sh "$STICK/import.sh" --host k8setcd1 "$WORK/one"
[[ $(ls "$WORK/one/bundles") == k8setcd1.*.tar.gz ]] || die "--host"
remove

# ---- the second export writes nothing ----
insert rw
before=$(find "$STICK" -type f -printf '%p %T@ %s\n' | sort)
code 0 "$KHAGEN" export "$STICK" --from "$OUT" --chunk 20000; says 'nothing to do'
[[ $(find "$STICK" -type f -printf '%p %T@ %s\n' | sort) == "$before" ]] || die "the second export wrote"
remove

# ---- one bit, in any file of the medium ----
insert ro
mapfile -t files < <(cd "$STICK" && find bundles packages pages -type f | sort)
mapfile -t beside < <(printf '%s\n' "${files[@]}" | grep -v '^bundles/')
files=(FILES.txt "${files[0]}" "${beside[@]}")
remove
cp "$WORK/image" "$WORK/good"
for file in "${files[@]}"; do
    cp "$WORK/good" "$WORK/image"
    insert ro
    cp "$STICK/$file" "$WORK/whole"
    remove
    # where it begins in the image: further on, tarballs have much in common
    perl -0777 -e 'open F, "<", $ARGV[0]; $d = substr <F>, 0, 1000; open I, "+<", $ARGV[1]; $i = <I>; $at = length($d) / 2;
        $p = index $i, $d; die "not found" if $p < 0; seek I, $p + $at, 0; print I chr(ord(substr $d, $at) ^ 1)' "$WORK/whole" "$WORK/image"
    insert ro
    code 4 sh "$STICK/import.sh" "$WORK/never"
    says "${file##*/}"
    [[ ! -e $WORK/never && ! -e $WORK/never.khagen-new ]] || die "something was made of a damaged medium"
    remove
done
printf 'FIGURE a bit flipped in %s files on %s\n' "${#files[@]}" "$(cat "$WORK/how")"

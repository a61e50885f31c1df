# Newer files: etcd's program, nginx and the kubelet's package; conntrack goes
package() {
    mkdir -p "d/DEBIAN" "d/usr/share/doc/$1"
    printf 'Package: %s\nVersion: %s\nArchitecture: amd64\nMaintainer: nobody <nobody@example.com>\nDescription: %s\n' "$1" "$2" "$1" >d/DEBIAN/control
    printf '%s %s\n' "$1" "$2" >"d/usr/share/doc/$1/README"
    dpkg-deb -Zxz --build d "artifacts/$1_$2_amd64.deb" >/dev/null
    rm -r d
}
export SOURCE_DATE_EPOCH=1795305600
printf 'etcd 3.6.15\n' >artifacts/etcd
rm artifacts/nginx_* artifacts/kubelet_* artifacts/conntrack_*
package nginx 1.26.0-1
package kubelet 1.36.6-1.1
(cd artifacts && rm SHA256SUMS && sha256sum -- * >../SUMS && mv ../SUMS SHA256SUMS)
sed -i 's/nginx_1.22.1-9/nginx_1.26.0-1/; s/kubelet_1.36.5-1.1/kubelet_1.36.6-1.1/; s/, conntrack_1.4.7-1_amd64.deb//' artifacts.yaml

# A program for etcd's hosts, a package for the balancers, one for the nodes
package() {
    mkdir -p "d/DEBIAN" "d/usr/share/doc/$1"
    printf 'Package: %s\nVersion: %s\nArchitecture: amd64\nMaintainer: nobody <nobody@example.com>\nDescription: %s\n' "$1" "$2" "$1" >d/DEBIAN/control
    printf '%s %s\n' "$1" "$2" >"d/usr/share/doc/$1/README"
    dpkg-deb -Zxz --build d "artifacts/$1_$2_amd64.deb" >/dev/null
    rm -r d
}
export SOURCE_DATE_EPOCH=1795305600
mkdir artifacts
printf 'etcd 3.6.14\n' >artifacts/etcd
package keepalived 2.2.7-1
package nginx 1.22.1-9
package kubelet 1.36.5-1.1
package conntrack 1.4.7-1
(cd artifacts && sha256sum -- * >SHA256SUMS)
cat >artifacts.yaml <<'YAML'
artifacts:
  etcd:
    binaries:
      - {path: /usr/local/bin/etcd, source: etcd}
  load-balancer:
    packages: [keepalived_2.2.7-1_amd64.deb, nginx_1.22.1-9_amd64.deb]
  kubernetes:
    packages: [kubelet_1.36.5-1.1_amd64.deb, conntrack_1.4.7-1_amd64.deb]
YAML

# Artifacts where there were none: packages for the balancers, a program for etcd's hosts
mkdir artifacts d d/DEBIAN
printf 'etcd 3.6.14\n' >artifacts/etcd
printf 'Package: nginx\nVersion: 1.26.0-1\nArchitecture: amd64\nMaintainer: nobody <nobody@example.com>\nDescription: nginx\n' >d/DEBIAN/control
SOURCE_DATE_EPOCH=1795305600 dpkg-deb -Zxz --build d artifacts/nginx_1.26.0-1_amd64.deb >/dev/null
rm -r d
(cd artifacts && sha256sum -- * >../SUMS && mv ../SUMS SHA256SUMS)
cat >artifacts.yaml <<'YAML'
artifacts:
  etcd:
    binaries:
      - {path: /usr/local/bin/etcd, source: etcd}
  load-balancer:
    packages: [nginx_1.26.0-1_amd64.deb]
YAML

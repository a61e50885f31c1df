// Command etcd runs upstream's etcd server, unchanged, at the version this module pins.
//
// It exists so that tests can start real members; nothing here is part of khagen's build.
package main

import (
	"os"

	"go.etcd.io/etcd/server/v3/etcdmain"
)

func main() {
	etcdmain.Main(os.Args)
}

// Command etcdctl runs upstream's etcd client, unchanged, at the version this module pins.
//
// It exists so that tests and the emitted scripts under test find the real client.
package main

import "go.etcd.io/etcd/etcdctl/v3/ctlv3"

func main() {
	ctlv3.MustStart()
}

//go:build !etcd35

package main

import (
	"github.com/spf13/cobra"

	"go.etcd.io/etcd/etcdutl/v3/etcdutl"
)

// since36 holds the commands that etcd 3.5 does not have.
func since36() []*cobra.Command {
	return []*cobra.Command{etcdutl.NewHashKVCommand(), etcdutl.NewMigrateCommand()}
}

//go:build etcd35

package main

import "github.com/spf13/cobra"

func since36() []*cobra.Command { return nil }

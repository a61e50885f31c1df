// Command containerd runs upstream's containerd 2, unchanged, at the version this module pins.
//
// It exists so that tests can ask it to read its configuration (config dump); nothing here is part of khagen's build.
package main

import (
	"fmt"
	"os"

	"github.com/containerd/containerd/v2/cmd/containerd/command"

	_ "github.com/containerd/containerd/v2/cmd/containerd/builtins"
)

func main() {
	if err := command.App().Run(os.Args); err != nil {
		fmt.Fprintf(os.Stderr, "containerd: %s\n", err)
		os.Exit(1)
	}
}

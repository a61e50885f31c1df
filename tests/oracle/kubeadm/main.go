// Command kubeadm runs upstream's kubeadm, unchanged, at the version this module pins.
//
// It exists so that tests can ask the real program; nothing here is part of khagen's build.
package main

import (
	"fmt"
	"os"

	"k8s.io/kubernetes/cmd/kubeadm/app"
)

func main() {
	// Upstream's own main hands the error to a package that moved between minors; what it prints and
	// how it ends is the same.
	if err := app.Run(); err != nil {
		fmt.Fprintf(os.Stderr, "error: %v\n", err)
		os.Exit(1)
	}
}

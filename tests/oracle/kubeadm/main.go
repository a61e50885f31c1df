// Command kubeadm runs upstream's kubeadm, unchanged, at the version this module pins.
//
// It exists so that tests can ask the real program; nothing here is part of khagen's build.
package main

import (
	"k8s.io/kubernetes/cmd/kubeadm/app"
	utilerrors "k8s.io/kubernetes/cmd/kubeadm/app/util/errors"
)

func main() {
	// HandleError prints the error and ends with kubeadm's own exit code (2 for failed preflight).
	utilerrors.HandleError(app.Run())
}

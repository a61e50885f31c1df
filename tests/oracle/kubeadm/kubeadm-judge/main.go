// Command kubeadm-judge reads kubeadm documents as strictly as upstream's own code can.
//
//	kubeadm-judge [--patches DIR] FILE...
//	kubeadm-judge --fields
//
// kubeadm init and join only warn about a key they do not know and go on without it, and kubeadm
// never validates the KubeletConfiguration and KubeProxyConfiguration it is given: the kubelet and
// kube-proxy do, later, on the host. This program brings the three judgements together. It prints
// one line per document, "ok KIND" or "error KIND: reason", and exits 0 when every line is ok, 1
// when one is not, 64 when called wrongly. Warnings of upstream's code go to standard error. With
// --fields it prints every field that kubeadm's documents may have.
//
// It must not contain a rule of its own: every verdict comes from the pinned modules.
package main

import (
	"flag"
	"fmt"
	"io"
	"os"
	"strings"
)

const (
	exitOK       = 0
	exitRejected = 1
	exitUsage    = 64
)

func main() {
	os.Exit(run(os.Args[1:], os.Stdout, os.Stderr))
}

func run(args []string, stdout, stderr io.Writer) int {
	flags := flag.NewFlagSet("kubeadm-judge", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.Usage = func() {
		fmt.Fprintln(stderr, "usage: kubeadm-judge [--patches DIR] FILE...")
	}
	fields := flags.Bool("fields", false, "print every field of kubeadm's documents")
	patches := flags.String("patches", "", "also judge each file's KubeletConfiguration with the kubeadm patches of `DIR` applied")
	if err := flags.Parse(args); err != nil {
		return exitUsage
	}
	if *fields && flags.NArg() == 0 {
		printFields(stdout)
		return exitOK
	}
	if flags.NArg() == 0 {
		flags.Usage()
		return exitUsage
	}

	code := exitOK
	for _, path := range flags.Args() {
		for _, v := range judgeFile(path, *patches) {
			if v.err == nil {
				fmt.Fprintf(stdout, "ok %s\n", v.kind)
				continue
			}
			// Upstream joins several findings with line breaks; a verdict stays one line.
			reason := strings.Join(strings.Fields(v.err.Error()), " ")
			fmt.Fprintf(stdout, "error %s: %s [%s]\n", v.kind, reason, v.at)
			code = exitRejected
		}
	}
	return code
}

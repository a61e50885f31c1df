package main

import (
	"fmt"
	"io"
	"reflect"
	"sort"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/kubernetes/cmd/kubeadm/app/apis/kubeadm"
	kubeadmscheme "k8s.io/kubernetes/cmd/kubeadm/app/apis/kubeadm/scheme"
)

// The kinds that a person writes for init and join.
var written = map[string]bool{"InitConfiguration": true, "ClusterConfiguration": true, "JoinConfiguration": true}

// printFields prints a line for every field that each API version of this minor has in those kinds:
// "VERSION KIND.path TYPE". Lists have [] in their path, maps {}.
func printFields(out io.Writer) {
	var lines []string
	for kind, t := range kubeadmscheme.Scheme.AllKnownTypes() {
		if kind.Group == kubeadm.GroupName && kind.Version != "__internal" && written[kind.Kind] {
			walk(t, kind.Version+" "+kind.Kind, &lines)
		}
	}
	sort.Strings(lines)
	for _, line := range lines {
		fmt.Fprintln(out, line)
	}
}

// Types that their own JSON makes one value of.
var leafs = map[reflect.Type]bool{reflect.TypeOf(metav1.Duration{}): true, reflect.TypeOf(metav1.Time{}): true}

func walk(t reflect.Type, path string, lines *[]string) {
	switch {
	case t.Kind() == reflect.Pointer:
		walk(t.Elem(), path, lines)
	case t.Kind() == reflect.Slice && t.Elem().Kind() != reflect.Uint8:
		walk(t.Elem(), path+"[]", lines)
	case t.Kind() == reflect.Map:
		walk(t.Elem(), path+"{}", lines)
	case t.Kind() == reflect.Struct && !leafs[t] && !isText(t):
		for i := 0; i < t.NumField(); i++ {
			field := t.Field(i)
			name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
			switch {
			case name == "-" || field.Type == reflect.TypeOf(metav1.TypeMeta{}):
			case name == "":
				walk(field.Type, path, lines)
			default:
				walk(field.Type, path+"."+name, lines)
			}
		}
	default:
		*lines = append(*lines, path+" "+t.Kind().String())
	}
}

// isText: a struct that is written as one text, a bootstrap token for one.
func isText(t reflect.Type) bool {
	marshaler := reflect.TypeOf((*interface{ MarshalJSON() ([]byte, error) })(nil)).Elem()
	return t.Implements(marshaler) || reflect.PointerTo(t).Implements(marshaler)
}

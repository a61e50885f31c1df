package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"

	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	yamlserializer "k8s.io/apimachinery/pkg/runtime/serializer/yaml"
	utilyaml "k8s.io/apimachinery/pkg/util/yaml"

	kubeadmapi "k8s.io/kubernetes/cmd/kubeadm/app/apis/kubeadm"
	kubeadmscheme "k8s.io/kubernetes/cmd/kubeadm/app/apis/kubeadm/scheme"
	"k8s.io/kubernetes/cmd/kubeadm/app/util/config/strict"
)

const (
	kindInit      = "InitConfiguration"
	kindCluster   = "ClusterConfiguration"
	kindJoin      = "JoinConfiguration"
	kindKubelet   = "KubeletConfiguration"
	kindKubeProxy = "KubeProxyConfiguration"
)

// verdict is what upstream's code says about one document.
type verdict struct {
	kind string
	// at names the document for an error's reader.
	at  string
	err error
}

// document is one YAML document of a file.
type document struct {
	gvk   schema.GroupVersionKind
	bytes []byte
}

// judgeFile returns a verdict per document, in the file's order, and one more for the patched
// kubelet configuration when patches is a directory.
func judgeFile(path, patches string) []verdict {
	content, err := os.ReadFile(path)
	if err != nil {
		return []verdict{{kind: "File", at: path, err: err}}
	}
	docs, err := split(content)
	if err != nil {
		return []verdict{{kind: "File", at: path, err: err}}
	}
	if len(docs) == 0 {
		return []verdict{{kind: "File", at: path, err: errors.New("holds no document")}}
	}

	verdicts := make([]verdict, len(docs))
	clean := true
	for i, d := range docs {
		verdicts[i] = verdict{kind: d.gvk.Kind, at: fmt.Sprintf("%s, document %d", path, i+1), err: judgeAlone(d)}
		clean = clean && verdicts[i].err == nil
	}
	// Together only when each is sound alone: kubeadm's loaders read leniently and would say the
	// same again in other words.
	if !clean {
		return verdicts
	}

	var init *kubeadmapi.InitConfiguration
	if i := lastOf(docs, kindCluster, kindInit); i >= 0 {
		init, verdicts[i].err = loadInit(content)
	}
	if i := lastOf(docs, kindJoin); i >= 0 {
		_, verdicts[i].err = loadJoin(path)
	}
	if patches != "" {
		v := verdict{kind: "KubeletConfiguration (patched)", at: path + " with " + patches}
		if init == nil {
			v.err = errors.New("the file holds no sound InitConfiguration or ClusterConfiguration to take the unpatched one from")
		} else {
			v.err = judgePatched(&init.ClusterConfiguration, patches)
		}
		verdicts = append(verdicts, v)
	}
	return verdicts
}

// split cuts content where kubeadm cuts it, with kubeadm's reader. Unlike kubeadm's own function it
// keeps the order, and leaves documents of one kind twice to kubeadm's loaders to refuse.
func split(content []byte) ([]document, error) {
	var docs []document
	reader := utilyaml.NewYAMLReader(bufio.NewReader(bytes.NewReader(content)))
	for {
		b, err := reader.Read()
		if errors.Is(err, io.EOF) {
			return docs, nil
		}
		if err != nil {
			return nil, err
		}
		gvk, err := yamlserializer.DefaultMetaFactory.Interpret(b)
		if err != nil {
			return nil, fmt.Errorf("document %d: %w", len(docs)+1, err)
		}
		if gvk.Group == "" || gvk.Version == "" || gvk.Kind == "" {
			return nil, fmt.Errorf("document %d has no kind or no apiVersion with a group", len(docs)+1)
		}
		docs = append(docs, document{gvk: *gvk, bytes: b})
	}
}

// judgeAlone says what can be said of a document without its neighbours.
func judgeAlone(d document) error {
	switch d.gvk.Kind {
	case kindInit, kindCluster, kindJoin:
		// The scheme holds exactly the API versions this minor reads, so an older one fails here.
		return strict.VerifyUnmarshalStrict([]*runtime.Scheme{kubeadmscheme.Scheme}, d.gvk, d.bytes)
	case kindKubelet:
		return judgeKubelet(d.bytes)
	case kindKubeProxy:
		return judgeKubeProxy(d.bytes)
	default:
		return fmt.Errorf("%s is not a kind that kubeadm init or join reads", d.gvk.String())
	}
}

// lastOf returns the index of the document of the last of kinds that docs hold, or -1. Kubeadm
// judges an InitConfiguration and a ClusterConfiguration as one; the verdict stands at the former.
func lastOf(docs []document, kinds ...string) int {
	found := -1
	for _, kind := range kinds {
		for i, d := range docs {
			if d.gvk.Kind == kind {
				found = i
			}
		}
	}
	return found
}

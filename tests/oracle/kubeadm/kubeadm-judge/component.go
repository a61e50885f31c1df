package main

import (
	"fmt"
	"os"
	"reflect"

	"k8s.io/apimachinery/pkg/runtime/serializer"
	utilruntime "k8s.io/apimachinery/pkg/util/runtime"
	utilfeature "k8s.io/apiserver/pkg/util/feature"
	logsapi "k8s.io/component-base/logs/api/v1"
	kubeletv1beta1 "k8s.io/kubelet/config/v1beta1"
	"sigs.k8s.io/yaml"

	kubeadmapi "k8s.io/kubernetes/cmd/kubeadm/app/apis/kubeadm"
	"k8s.io/kubernetes/cmd/kubeadm/app/componentconfigs"
	"k8s.io/kubernetes/cmd/kubeadm/app/util/patches"
	kubeletconfig "k8s.io/kubernetes/pkg/kubelet/apis/config"
	kubeletscheme "k8s.io/kubernetes/pkg/kubelet/apis/config/scheme"
	kubeletvalidation "k8s.io/kubernetes/pkg/kubelet/apis/config/validation"
	proxyconfig "k8s.io/kubernetes/pkg/proxy/apis/config"
	proxyscheme "k8s.io/kubernetes/pkg/proxy/apis/config/scheme"
	proxyvalidation "k8s.io/kubernetes/pkg/proxy/apis/config/validation"
)

func init() {
	// The kubelet and kube-proxy do the same when they start; without it the validation of their
	// logging section would ask for gates that nobody registered.
	utilruntime.Must(logsapi.AddFeatureGates(utilfeature.DefaultMutableFeatureGate))
}

// judgeKubelet decodes strictly, fills in the kubelet's defaults and runs the kubelet's validation.
//
// Upstream's defaulting panics on a feature gate it does not know, and so does the kubelet on the
// host; here it is an error like any other.
func judgeKubelet(content []byte) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("the kubelet would panic: %v", p)
		}
	}()
	_, codecs, err := kubeletscheme.NewSchemeAndCodecs(serializer.EnableStrict)
	if err != nil {
		return err
	}
	object, gvk, err := codecs.UniversalDecoder().Decode(content, nil, nil)
	if err != nil {
		return err
	}
	kubelet, ok := object.(*kubeletconfig.KubeletConfiguration)
	if !ok {
		return fmt.Errorf("%s is not a KubeletConfiguration", gvk)
	}
	// Upstream compares these two, and no others, with the cgroup version of the machine it runs on.
	// The verdict is about the document, so they are taken out once they have been decoded.
	// By name, since minors before 1.31 and 1.32 do not have them.
	for _, field := range []string{"FailCgroupV1", "SingleProcessOOMKill"} {
		if f := reflect.ValueOf(kubelet).Elem().FieldByName(field); f.IsValid() {
			f.SetZero()
		}
	}
	return kubeletvalidation.ValidateKubeletConfiguration(kubelet, utilfeature.DefaultFeatureGate)
}

// judgeKubeProxy does the same with kube-proxy's code; its scheme is strict already.
func judgeKubeProxy(content []byte) error {
	object, gvk, err := proxyscheme.Codecs.UniversalDecoder().Decode(content, nil, nil)
	if err != nil {
		return err
	}
	proxy, ok := object.(*proxyconfig.KubeProxyConfiguration)
	if !ok {
		return fmt.Errorf("%s is not a KubeProxyConfiguration", gvk)
	}
	return proxyvalidation.Validate(proxy).ToAggregate()
}

// judgePatched judges the kubelet configuration that kubeadm would write to a host: the cluster's,
// with kubeadm's own defaults in it, patched from dir. kubeadm itself decodes the result leniently.
func judgePatched(cluster *kubeadmapi.ClusterConfiguration, dir string) error {
	kubelet, ok := cluster.ComponentConfigs[componentconfigs.KubeletGroup]
	if !ok {
		return fmt.Errorf("kubeadm has no kubelet configuration")
	}
	data, err := kubelet.Marshal()
	if err != nil {
		return err
	}
	// kubeadm passes over a file whose name it does not understand; it says so on standard error.
	manager, err := patches.GetPatchManagerForPath(dir, patches.KnownTargets(), os.Stderr)
	if err != nil {
		return err
	}
	target := &patches.PatchTarget{
		Name:                      patches.KubeletConfiguration,
		StrategicMergePatchObject: kubeletv1beta1.KubeletConfiguration{},
		Data:                      data,
	}
	if err := manager.ApplyPatchesToTarget(target); err != nil {
		return err
	}
	patched, err := yaml.JSONToYAML(target.Data)
	if err != nil {
		return err
	}
	return judgeKubelet(patched)
}

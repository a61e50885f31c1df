//go:build !k8s128

package main

import (
	kubeadmapi "k8s.io/kubernetes/cmd/kubeadm/app/apis/kubeadm"
	"k8s.io/kubernetes/cmd/kubeadm/app/util/config"
)

// SkipCRIDetect, because the machine that judges runs no container runtime.

func loadInit(content []byte) (*kubeadmapi.InitConfiguration, error) {
	return config.BytesToInitConfiguration(content, true)
}

func loadJoin(path string) (*kubeadmapi.JoinConfiguration, error) {
	return config.LoadJoinConfigurationFromFile(path, config.LoadOrDefaultConfigurationOptions{SkipCRIDetect: true})
}

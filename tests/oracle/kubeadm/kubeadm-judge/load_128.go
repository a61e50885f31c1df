//go:build k8s128

package main

import (
	kubeadmapi "k8s.io/kubernetes/cmd/kubeadm/app/apis/kubeadm"
	"k8s.io/kubernetes/cmd/kubeadm/app/util/config"
)

// 1.28 cannot be told to look for no container runtime; every document of khagen's names its socket.

func loadInit(content []byte) (*kubeadmapi.InitConfiguration, error) {
	return config.BytesToInitConfiguration(content)
}

func loadJoin(path string) (*kubeadmapi.JoinConfiguration, error) {
	return config.LoadJoinConfigurationFromFile(path)
}

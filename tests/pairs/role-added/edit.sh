# A worker becomes a control plane
sed -i '/name: k8sworker3/,+2s/roles: .worker./roles: [control-plane]/' hosts.yaml

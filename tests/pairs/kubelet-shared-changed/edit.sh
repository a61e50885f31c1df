# Two settings of every kubelet, one of which is new
sed -i 's/maxPods: 200/maxPods: 220, serializeImagePulls: false/' more.yaml

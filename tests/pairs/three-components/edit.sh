# Several fields of several components at once
cat >more.yaml <<'END'
kubernetes:
  apiServer: {extraArgs: {audit-log-maxage: "30"}}
  controllerManager: {extraArgs: {v: "2"}}
  scheduler: {extraArgs: {v: "2"}}
etcd: {heartbeatInterval: 200}
END

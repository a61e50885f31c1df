# A flag of the controller manager
cat >more.yaml <<'END'
kubernetes: {controllerManager: {extraArgs: {node-monitor-grace-period: 40s}}}
END

cat >more.yaml <<'END'
kubernetes: {apiServer: {extraArgs: {audit-log-maxage: "30", profiling: "false"}}}
END

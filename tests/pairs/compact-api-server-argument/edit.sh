# A flag of the API server, on hosts that are everything
# base: compact
cat >more.yaml <<'END'
kubernetes: {apiServer: {extraArgs: {audit-log-maxage: "30"}}}
END

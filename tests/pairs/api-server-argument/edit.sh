# A flag of the API server
cat >more.yaml <<'END'
kubernetes: {apiServer: {extraArgs: {audit-log-maxage: "30"}}}
END

# A name for the API server: its certificates are issued again
cat >more.yaml <<'END'
kubernetes: {apiServer: {certSANs: [api.example.com]}}
END

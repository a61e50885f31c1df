# A volume for the API server's pod
cat >more.yaml <<'END'
kubernetes: {apiServer: {extraVolumes: [{name: audit, hostPath: /var/log/audit, mountPath: /var/log/audit, pathType: DirectoryOrCreate}]}}
END

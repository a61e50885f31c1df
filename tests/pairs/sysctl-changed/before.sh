cat >more.yaml <<'END'
roles: {worker: {sysctls: {vm.max_map_count: "262144"}}}
END

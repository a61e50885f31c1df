# A flag gets another value, another is gone
sed -i 's/"30"/"60"/; s/, profiling: "false"//' more.yaml

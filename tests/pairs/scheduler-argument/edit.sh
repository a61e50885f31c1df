# A flag of the scheduler
cat >more.yaml <<'END'
kubernetes: {scheduler: {extraArgs: {v: "4"}}}
END

mkdir -p files; printf 'Welcome.\n' >files/motd
cat >more.yaml <<'END'
defaults: {files: [{path: /etc/motd, source: motd}]}
END

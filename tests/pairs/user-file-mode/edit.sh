# The file gets other bits and another owner
sed -i 's|source: motd|source: motd, mode: "0640", owner: daemon, group: adm|' more.yaml

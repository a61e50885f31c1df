# The file restarts a unit from now on
sed -i 's|source: motd|source: motd, effect: restart ssh.service|' more.yaml
printf 'Hello.\n' >files/motd

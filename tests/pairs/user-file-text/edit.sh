# The file gets other lines
printf 'Welcome.\nMind the step.\n' >files/motd

# Another bootstrap token
# days: 1
rm -r secrets/objects/bootstrap-token

# The operator's own certificates
# days: 300
rm -r secrets/objects/operator

# The file is gone
rm more.yaml

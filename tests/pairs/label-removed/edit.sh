# A label is gone
rm more.yaml

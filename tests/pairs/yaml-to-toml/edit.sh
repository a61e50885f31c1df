# The same settings in TOML
rm *.yaml
cp "$REPOSITORY"/tests/inventories/eleven-toml/*.toml .

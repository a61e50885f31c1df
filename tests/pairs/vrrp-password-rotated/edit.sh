# The password is made anew: seen by its fingerprint
rm -r secrets/objects/vrrp-password

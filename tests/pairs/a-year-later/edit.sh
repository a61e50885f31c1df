# The clock alone: nothing changes
# days: 200
true

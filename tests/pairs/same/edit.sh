# Nothing at all
true

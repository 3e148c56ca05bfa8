"""Is it to be believed? Diagnostics and checks."""

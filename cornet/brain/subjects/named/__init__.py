"""Networks of libraries and of the user, by name."""

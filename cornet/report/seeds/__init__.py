"""The report of several seeds of one configuration."""

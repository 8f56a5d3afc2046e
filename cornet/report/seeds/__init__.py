"""Write the report of several seeds of one configuration."""

"""Write the report of one run."""

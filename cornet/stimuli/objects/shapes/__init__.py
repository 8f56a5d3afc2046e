"""The solids of each category."""

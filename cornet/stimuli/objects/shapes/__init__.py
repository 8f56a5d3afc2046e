"""Solids of the objects of each category."""

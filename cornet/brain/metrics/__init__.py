"""Comparisons of features or choices with responses or behaviour, and their ceilings."""

"""Data of brains and people: bundles, assemblies, trials, and fetching them."""

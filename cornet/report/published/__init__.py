"""Runs among the published networks of the CORnet-S paper."""

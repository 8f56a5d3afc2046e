"""Compare runs with the published networks of the CORnet-S paper."""

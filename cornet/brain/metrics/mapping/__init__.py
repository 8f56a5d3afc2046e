"""Linear mappings from features to responses, and what they are computed with."""

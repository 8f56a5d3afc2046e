"""A card of a run, or of several seeds: one printable page for a supplement."""

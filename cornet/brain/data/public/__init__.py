"""Public brain data: what there is, and fetching it."""

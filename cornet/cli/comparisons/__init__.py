"""Commands that compare networks with brains, and fetch or convert recordings."""

"""Metamers of all stages of a network: made in blocks, compared with a null distribution, shown to other networks."""

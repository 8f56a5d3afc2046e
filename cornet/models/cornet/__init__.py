"""The CORnet family: Z, R, RT and S, and their variants."""

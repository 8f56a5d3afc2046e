"""Compare choices: confusions, errors, and the read-outs that make choices of features."""

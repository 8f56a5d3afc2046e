"""Compare features or choices with neural responses or behaviour, and estimate ceilings."""

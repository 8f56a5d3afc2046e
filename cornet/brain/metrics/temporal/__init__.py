"""Compare features with responses over time: bins of the responses, and steps of a recurrent network."""

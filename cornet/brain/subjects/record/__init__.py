"""Record a subject: one pass over the stimuli, and caches."""

"""Images made through a network: stimuli that drive neurons."""

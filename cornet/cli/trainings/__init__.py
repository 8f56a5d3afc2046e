"""Commands that train, or prepare a training."""

"""Pages of images that drive neurons, and of the responses that come back."""

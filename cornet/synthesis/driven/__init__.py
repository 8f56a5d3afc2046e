"""Drive neurons: mappings, images, what is known of the truth, and responses that come back."""

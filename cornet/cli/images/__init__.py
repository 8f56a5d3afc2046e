"""Commands that make or show images through a network."""

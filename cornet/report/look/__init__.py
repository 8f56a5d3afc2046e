"""A picture and a page of what happens inside a network when it sees an image."""

"""Take a network out of cornet, in formats that other programs read."""

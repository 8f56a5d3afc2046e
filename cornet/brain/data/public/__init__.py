"""List and fetch the public brain data."""

"""Object solution times: decoding over time, and comparing the times."""

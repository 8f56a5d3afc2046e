"""Object solution times: decode objects over time, and compare the resulting times."""

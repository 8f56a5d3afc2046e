"""Many runs: sweeps, successive halving, networks drawn at random."""

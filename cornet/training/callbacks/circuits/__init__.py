"""Callbacks that measure the circuit of a network in training."""

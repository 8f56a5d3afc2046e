"""Callbacks that measure the inputs of a task."""

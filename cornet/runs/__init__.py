"""The folder of a run: its path, lock, configuration, tables, checkpoints, and what it was made with."""

"""Read and write the folder of a run: path, lock, configuration, tables, checkpoints, and provenance."""

"""Lightning callbacks: brain scores, checkpoints, progress, and checks while a network trains."""

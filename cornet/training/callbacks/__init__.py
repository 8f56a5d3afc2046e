"""Lightning callbacks: brain scores, checkpoints, progress, and checks during training."""

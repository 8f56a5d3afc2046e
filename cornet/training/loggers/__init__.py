"""Where metrics go: metrics.csv, TensorBoard, Weights & Biases."""

"""Images: data sets (class folders, CIFAR, rendered objects), decoding, augmentation, contact sheets."""

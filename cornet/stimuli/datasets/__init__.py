"""Images to train on: class folders, CIFAR, shards."""

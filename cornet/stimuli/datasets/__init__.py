"""Data sets of photographs: class folders, CIFAR, shards."""

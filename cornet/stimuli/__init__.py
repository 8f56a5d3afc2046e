"""Images: photographs in class folders, CIFAR, rendered objects; decoding, crops, contact sheets (see `samples`)."""

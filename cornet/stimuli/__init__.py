"""Images: photographs in class folders, CIFAR, rendered objects; decoding, crops, contact sheets.

Sources of images to train on are `photographs.ImageFolder`, `cifar.Cifar` and `objects.RenderedObjects`; what they
give is said in `samples`.
"""

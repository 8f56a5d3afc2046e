"""The conventions of timm: methods of every network, lists of feature maps, names in timm's registry."""

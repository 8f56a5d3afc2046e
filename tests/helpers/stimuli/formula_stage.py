"""The small network of the golden values of synthesised images, whose weights are formulas."""

import math
import zlib

import numpy as np
import torch
import torch.nn.functional as F

from cornet.stimuli.normalisation import IMAGENET_MEAN, IMAGENET_STD


def draw(key, shape):
    return np.random.default_rng(zlib.crc32(key.encode())).standard_normal(shape, dtype=np.float32)


def stage(dtype):
    """Images (image, 3, 32, 32) in 0..1 to states (image, 12, 7, 7)."""

    def weights(name, shape):
        scale = np.float32(math.sqrt(2 / math.prod(shape[1:])))
        weight = draw(f"synthesis:{name}.weight", shape) * scale
        bias = np.float32(0.1) * draw(f"synthesis:{name}.bias", shape[:1])
        return torch.from_numpy(weight).to(dtype), torch.from_numpy(bias).to(dtype)

    first, second = weights("conv1", (8, 3, 3, 3)), weights("conv2", (12, 8, 3, 3))
    mean, std = (torch.tensor(one, dtype=dtype)[:, None, None] for one in (IMAGENET_MEAN, IMAGENET_STD))

    def states(images):
        below = F.relu(F.conv2d((images - mean) / std, *first, stride=2))
        return F.softplus(F.conv2d(below, *second, stride=2))

    return states

"""The network and the maps of the harmonisation's golden file, made by its formula (tests/golden/README.md)."""

import zlib

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from tests.helpers.paths import GOLDEN

LABELS = torch.tensor([3, 1, 4, 9])
SHAPES = {
    "conv1.weight": (8, 3, 3, 3),
    "conv1.bias": (8,),
    "conv2.weight": (12, 8, 3, 3),
    "conv2.bias": (12,),
    "dense.weight": (10, 12),
    "dense.bias": (10,),
}


def golden() -> dict[str, np.ndarray]:
    with np.load(GOLDEN / "harmonizer.npz", allow_pickle=False) as file:
        return dict(file)


def draw(key: str, shape: tuple[int, ...], dtype: torch.dtype = torch.float32) -> Tensor:
    rng = np.random.default_rng(zlib.crc32(f"harmonizer:{key}".encode()))
    return torch.from_numpy(rng.standard_normal(shape, dtype=np.float32)).to(dtype)


def weights(dtype: torch.dtype) -> dict[str, Tensor]:
    found = {}
    for key, shape in SHAPES.items():
        scale = np.float32(np.sqrt(2 / np.prod(shape[1:]))) if len(shape) > 1 else np.float32(0.1)
        found[key] = (draw(f"net/{key}", shape) * scale).to(dtype).requires_grad_()
    return found


def logits(net: dict[str, Tensor], images: Tensor) -> Tensor:
    """Of a smooth network, (batch, 10), for images (batch, 3, y, x)."""
    first = F.conv2d(images, net["conv1.weight"], net["conv1.bias"], stride=2).tanh()
    second = F.softplus(F.conv2d(first, net["conv2.weight"], net["conv2.bias"], stride=2))
    return F.linear(second.mean((2, 3)), net["dense.weight"], net["dense.bias"])

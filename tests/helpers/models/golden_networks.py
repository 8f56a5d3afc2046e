"""The published networks' weights and images, made by the golden file's formula (tests/golden/README.md)."""

import zlib
from functools import cache

import numpy as np
import torch
from torch import Tensor

from cornet.models import CORnet, create_model
from cornet.models.cornet.published import load_published, to_published

SALT = "public:"


def draw(key: str, shape: tuple[int, ...]) -> np.ndarray:
    rng = np.random.default_rng(zlib.crc32((SALT + key).encode()))
    return rng.standard_normal(shape, dtype=np.float32)


def weight(key: str, shape: tuple[int, ...]) -> Tensor:
    """The golden value of one entry of a published state dict."""
    if key.endswith("num_batches_tracked"):
        return torch.zeros(shape, dtype=torch.int64)
    a = draw(key, shape)
    if key.endswith("running_var"):
        a = 0.5 + np.abs(a)
    elif key.endswith("running_mean"):
        a = 0.1 * a
    elif a.ndim == 1 and key.endswith("weight"):
        a = 1 + 0.1 * a
    elif a.ndim == 1:
        a = 0.1 * a
    else:
        a = a * np.float32(np.sqrt(2 / np.prod(shape[1:])))
    return torch.from_numpy(np.asarray(a, dtype=np.float32))


@cache
def golden_state(letter: str) -> dict[str, Tensor]:
    """The golden weights of cornet_<letter> in the published layout, in fp32. Drawn once: S has 53 million."""
    with torch.device("meta"):
        net = create_model(f"cornet_{letter}")
    return {key: weight(key, tuple(value.shape)) for key, value in to_published(net).items()}


def golden_network(letter: str, dtype: torch.dtype = torch.float32) -> CORnet:
    """cornet_<letter> with golden weights of its own."""
    with torch.device("meta"):
        net = create_model(f"cornet_{letter}").to(dtype)
    return load_published(net.to_empty(device="cpu"), golden_state(letter))


def golden_images(size: int, count: int = 2, salt: str = "images") -> Tensor:
    return torch.from_numpy(draw(salt, (count, 3, size, size)))

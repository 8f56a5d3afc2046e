"""Features as comparisons need them: checked, centred, in blocks; and small matrices with the same inner products."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from cornet.errors import CornetError

__all__ = [
    "LEAST",
    "MEMORY",
    "PRECISIONS",
    "LostDigits",
    "as_matrix",
    "centred_blocks",
    "centred_features",
    "column_blocks",
    "gram_factor",
    "gram_matrix",
]

MEMORY = 1 << 28
"""Bytes that the blocks of a comparison may take by default, beside the features as they come and n x n matrices."""

PRECISIONS = {"float64": torch.float64, "float32": torch.float32}

LEAST = {"float64": 1e-6, "float32": 1e-3}
"""|K a| relative to |K| |a| below which a product with a Gram matrix K has lost too many digits: in float64 ten of
sixteen are then left. Natural images and networks were seen to stay above 4e-3."""


class LostDigits(ArithmeticError):
    """A Gram matrix, whose condition number is the square of the features', cannot give an exact result."""


def as_matrix(features: Any, name: str = "features") -> Any:
    """Check that something is (stimulus, feature) numbers, of NumPy, h5py, xarray or torch; nothing is copied."""
    if not hasattr(features, "shape") or not hasattr(features, "__getitem__"):
        features = np.asarray(features)
    if hasattr(features, "values") and not isinstance(features, Tensor):
        features = features.values
    if isinstance(features, Tensor):
        features = features.detach()
    if len(features.shape) != 2 or 0 in features.shape:
        raise CornetError(
            f"{name} of shape {tuple(features.shape)} must be (stimulus, feature), and not empty."
        )
    kind = torch.empty(0, dtype=features.dtype).numpy().dtype.kind if isinstance(features, Tensor) else None
    if (kind or np.dtype(features.dtype).kind) not in "fiub":
        raise CornetError(f"{name} of type {features.dtype} must be real numbers.")
    return features


def column_blocks(
    features: Any, device: torch.device | str = "cpu", name: str = "features", memory: int = MEMORY
) -> Iterator[Tensor]:
    """Blocks of columns of (stimulus, feature), from left to right, float64 on `device`.

    features: as `as_matrix` gives them. Raises CornetError where a value is not finite.
    """
    stimuli, width = features.shape
    step = max(1, min(width, memory // (stimuli * 8)))
    for start in range(0, width, step):
        part = features[:, start : start + step]
        if not isinstance(part, Tensor):
            part = torch.from_numpy(np.array(part, np.float64))
        block = part.to(device=device, dtype=torch.float64)
        if not torch.isfinite(block).all():
            stimulus, column = torch.nonzero(~torch.isfinite(block))[0].tolist()
            raise CornetError(
                f"the {name} hold {block[stimulus, column].item()} (stimulus {stimulus}, feature {start + column}), "
                "and only finite ones can be compared; look where the network overflows, or leave these out."
            )
        yield block


def centred_blocks(
    features: Any, device: torch.device, dtype: torch.dtype = torch.float64, memory: int = MEMORY
) -> Iterator[Tensor]:
    """Blocks of columns, each (stimulus, some features), less their mean over all stimuli.

    memory: bytes that a block's copies may take. Raises CornetError for features that are not finite.
    """
    stimuli, width = features.shape
    step = max(1, min(width, memory // (stimuli * 8 * 3)))
    for start in range(0, width, step):
        part = features[:, start : start + step]
        if not isinstance(part, Tensor):
            part = torch.from_numpy(np.array(part, order="C"))  # a copy: a map may be read-only
        block = part.to(device=device, dtype=torch.float64)
        means = block.mean(dim=0)
        if not torch.isfinite(means).all():
            bad = int((~torch.isfinite(block)).sum())
            raise CornetError(
                f"{bad:,} features are NaN or infinite (the first in column {start + first_bad(means)}), and only "
                "finite ones can be compared; look where the network overflows, or leave these out."
            )
        yield (block - means).to(dtype)


def centred_features(features: Any, device: torch.device, memory: int = MEMORY) -> Tensor:
    """All features, centred, float64: for those that are fewer than the stimuli."""
    blocks = list(centred_blocks(features, device, memory=memory))
    return blocks[0] if len(blocks) == 1 else torch.cat(blocks, dim=1)


def gram_matrix(
    features: Any, device: torch.device, precision: str = "float64", memory: int = MEMORY
) -> Tensor:
    """X X' of the centred features, (stimulus, stimulus) float64, reading them once in blocks of columns.

    precision: of the products; "float32" halves their time on a CPU, and keeps seven of the sixteen digits.
    """
    if precision not in PRECISIONS:
        raise CornetError(f"precision={precision!r} is unknown; choose one of {', '.join(PRECISIONS)}.")
    total = torch.zeros(features.shape[0], features.shape[0], dtype=torch.float64, device=device)
    for block in centred_blocks(features, device, PRECISIONS[precision], memory):
        total += square(block)
    return total


def gram_factor(features: Any, device: torch.device, memory: int = MEMORY) -> Tensor:
    """Z with Z Z' = X X' of the centred features, (stimulus, at most as many columns as stimuli), float64.

    By blockwise QR of X', which does not square the condition number and takes three to five times as long.
    """
    stimuli = features.shape[0]
    memory = max(memory, 3 * 8 * stimuli * stimuli)  # smaller blocks would repeat the work on R for nothing
    R = torch.zeros(0, stimuli, dtype=torch.float64, device=device)
    for block in centred_blocks(features, device, memory=memory):
        R = torch.linalg.qr(torch.cat([R, block.T]), mode="r").R
    return R.T.contiguous()


def square(block: Tensor) -> Tensor:
    """block block'. On a CPU by NumPy, which sees that the product is symmetric and does half the work."""
    if block.device.type != "cpu":
        return block @ block.T
    array: NDArray[Any] = block.numpy()
    return torch.from_numpy(array @ array.T)


def first_bad(values: Tensor) -> int:
    return int(torch.nonzero(~torch.isfinite(values))[0])

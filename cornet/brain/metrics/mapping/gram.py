"""Check features, read them in centred blocks, and compute Gram matrices and their factors."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from cornet.errors import CornetError, check_choice

__all__ = [
    "MEMORY",
    "MIN_PRODUCT",
    "PRECISIONS",
    "PrecisionLoss",
    "RowView",
    "as_matrix",
    "centred_blocks",
    "centred_features",
    "column_blocks",
    "gram_factor",
    "gram_matrix",
    "self_product",
]

MEMORY = 1 << 28
"""Default bytes for blocks in a comparison, in addition to the features and n x n matrices."""

PRECISIONS = {"float64": torch.float64, "float32": torch.float32}

MIN_PRODUCT = {"float64": 1e-6, "float32": 1e-3}
"""Minimum |K a| / (|K| |a|) for products with a Gram matrix K. Below it too many digits are lost: in float64, ten of
sixteen are left at this limit. Natural images and networks stay above 4e-3."""


class PrecisionLoss(ArithmeticError):
    """The Gram matrix is too ill-conditioned: its condition number is the square of the features'."""


def as_matrix(features: Any, name: str = "features") -> Any:
    """Check that features (NumPy, h5py, xarray or torch) are numbers (stimulus, feature); returns them uncopied."""
    if not hasattr(features, "shape") or not hasattr(features, "__getitem__"):
        features = np.asarray(features)
    if hasattr(features, "values") and not isinstance(features, Tensor):
        features = features.values
    if isinstance(features, Tensor):
        features = features.detach()
    if len(features.shape) != 2 or 0 in features.shape:
        raise CornetError(
            f"{name} of shape {tuple(features.shape)} must be (stimulus, feature) and not empty."
        )
    kind = torch.empty(0, dtype=features.dtype).numpy().dtype.kind if isinstance(features, Tensor) else None
    if (kind or np.dtype(features.dtype).kind) not in "fiub":
        raise CornetError(f"{name} of type {features.dtype} must be real numbers.")
    return features


class RowView:
    """Selected rows of a matrix, read in blocks of columns, so that the matrix is never copied as a whole."""

    def __init__(self, matrix: Any, rows: NDArray[np.int64]) -> None:
        self.matrix, self.rows = matrix, rows
        self.shape = (len(rows), matrix.shape[1])
        self.dtype = matrix.dtype

    def __getitem__(self, index: tuple[slice, slice]) -> NDArray[Any]:
        rows, columns = index
        return self.matrix[:, columns][self.rows[rows]]

    def __len__(self) -> int:
        return len(self.rows)


def column_blocks(
    features: Any, device: torch.device | str = "cpu", name: str = "features", memory: int = MEMORY
) -> Iterator[Tensor]:
    """Yield blocks of columns of (stimulus, feature), from left to right, float64 on `device`; they may be overwritten.

    features: from `as_matrix`. Raises CornetError for values that are not finite.
    """
    stimuli, width = features.shape
    step = max(1, min(width, memory // (stimuli * 8)))
    for start in range(0, width, step):
        part = features[:, start : start + step]
        if not isinstance(part, Tensor):
            part = torch.from_numpy(np.array(part, np.float64))
        block = part.to(device=device, dtype=torch.float64)
        if block is part and isinstance(features, Tensor):
            block = block.clone()
        # A sum is four times as fast to check as all values.
        if not torch.isfinite(block.sum(dim=0)).all() and not torch.isfinite(block).all():
            stimulus, column = torch.nonzero(~torch.isfinite(block))[0].tolist()
            raise CornetError(
                f"the {name} contain {block[stimulus, column].item()} (stimulus {stimulus}, feature {start + column}), "
                "but must be finite; find where the network overflows, or drop these features."
            )
        yield block


def centred_blocks(
    features: Any, device: torch.device, dtype: torch.dtype = torch.float64, memory: int = MEMORY
) -> Iterator[Tensor]:
    """Yield blocks of columns, (stimulus, some features), minus their mean over stimuli.

    memory: bytes for a block and its copies. Raises CornetError for features that are not finite.
    """
    stimuli, width = features.shape
    step = max(1, min(width, memory // (stimuli * 8 * 3)))
    for start in range(0, width, step):
        part = features[:, start : start + step]
        if not isinstance(part, Tensor):
            part = torch.from_numpy(np.array(part, order="C"))  # copy: memory maps may be read-only
        block = part.to(device=device, dtype=torch.float64)
        means = block.mean(dim=0)
        if not torch.isfinite(means).all():
            bad = int((~torch.isfinite(block)).sum())
            first = start + int(torch.nonzero(~torch.isfinite(means))[0])
            raise CornetError(
                f"{bad:,} features are NaN or infinite (first in column {first}), but must be finite; find where the "
                "network overflows, or drop these features."
            )
        yield (block - means).to(dtype)


def centred_features(features: Any, device: torch.device, memory: int = MEMORY) -> Tensor:
    """Return all features, centred, float64. Use it if there are fewer features than stimuli."""
    blocks = list(centred_blocks(features, device, memory=memory))
    return blocks[0] if len(blocks) == 1 else torch.cat(blocks, dim=1)


def gram_matrix(
    features: Any, device: torch.device, precision: str = "float64", memory: int = MEMORY
) -> Tensor:
    """Compute X X' of the centred features, (stimulus, stimulus) float64, in one pass over blocks of columns.

    precision: dtype of the products; "float32" halves their time on a CPU and has 7 instead of 16 digits.
    """
    check_choice("precision", precision, PRECISIONS)
    total = torch.zeros(features.shape[0], features.shape[0], dtype=torch.float64, device=device)
    for block in centred_blocks(features, device, PRECISIONS[precision], memory):
        total += self_product(block)
    return total


def gram_factor(features: Any, device: torch.device, memory: int = MEMORY) -> Tensor:
    """Compute Z with Z Z' = X X' of the centred features, (stimulus, at most n stimuli columns), float64.

    Uses blockwise QR of X', which does not square the condition number but takes three to five times as long.
    """
    stimuli = features.shape[0]
    memory = max(memory, 3 * 8 * stimuli * stimuli)  # smaller blocks would only repeat the work on R
    R = torch.zeros(0, stimuli, dtype=torch.float64, device=device)
    for block in centred_blocks(features, device, memory=memory):
        R = torch.linalg.qr(torch.cat([R, block.T]), mode="r").R
    return R.T.contiguous()


def self_product(block: Tensor) -> Tensor:
    """Compute block block'. On a CPU, NumPy detects the symmetric product and does half the work."""
    if block.device.type != "cpu":
        return block @ block.T
    array: NDArray[Any] = block.numpy()
    return torch.from_numpy(array @ array.T)

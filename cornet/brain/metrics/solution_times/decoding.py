"""The task of the solution-time decoders, and standardisation of features per split without a copy per split.

A classifier of split s sees z = (x - mean_s) / sd_s. The features are scaled once over all images, so that the
remaining `shift` and `scale` are close to 0 and 1 and can be folded into the weights in single precision without loss.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

__all__ = ["BATCH", "PENALTY", "Task", "standardised_blocks"]

PENALTY = 0.463
"""L2 penalty: 0.5 * PENALTY * (|W|^2 + |b|^2) is added to the mean cross-entropy."""

BATCH = 64
"""Batch size of the reference's training; the last batch of an epoch is smaller."""


@dataclass(frozen=True, eq=False)
class Task:
    """Training and test images of the classifiers, and their classes.

    train, test: (split, image), rows of the features. codes: (split, training image), classes numbered from 0, in an
    order that may differ between splits. classes: number of classes.
    """

    train: NDArray[np.intp]
    test: NDArray[np.intp]
    codes: NDArray[np.intp]
    classes: int

    @property
    def rows(self) -> NDArray[np.intp]:
        """Rows of the training images, then the test images, (split, image)."""
        return np.concatenate([self.train, self.test], axis=1)


@dataclass(frozen=True, eq=False)
class Block:
    """A block of features of all images: z of split s is (x - shift[s]) * scale[s].

    columns: their positions. x: (image, feature) float64. shift, scale: (split, feature) float64.
    """

    columns: slice
    x: torch.Tensor
    shift: torch.Tensor
    scale: torch.Tensor


def standardised_blocks(
    features: NDArray[Any], train: NDArray[np.intp], device: torch.device, width: int = 2048
) -> Iterator[Block]:
    """Yield the features (image, feature) in blocks of columns, with each split's training statistics (ddof 0).

    A feature that is constant over a split's training images is centred but not scaled, as by StandardScaler.
    """
    images, number = features.shape
    member = torch.zeros(len(train), images, dtype=torch.float64, device=device)
    member.scatter_(1, torch.as_tensor(train, device=device), 1 / train.shape[1])
    rounding = images * torch.finfo(torch.float64).eps
    for start in range(0, number, width):
        columns = slice(start, min(start + width, number))
        x = torch.from_numpy(np.array(features[:, columns], dtype=np.float64, order="C")).to(device)
        mean = x.mean(0)
        x -= mean
        spread = x.square().mean(0).sqrt()
        spread = torch.where(spread <= rounding * mean.abs(), 1.0, spread)
        x /= spread
        shift = member @ x
        square = member @ x.square()
        variance = square - shift.square()
        # For a constant x, the variance is only the rounding error of its square.
        constant = variance <= 1e-11 * square
        scale = torch.where(constant, spread, torch.where(constant, 1.0, variance).rsqrt())
        yield Block(columns, x, shift, scale)

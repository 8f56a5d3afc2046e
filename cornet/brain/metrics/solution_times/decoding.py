"""The task of the solution-time decoders, and features standardised per split without a copy for each.

A classifier of split s sees z = (x - mean_s) / sd_s. Here the features are scaled once over all images, so that the
rest (`shift`, `scale`) is close to 0 and 1 and can be folded into the weights in single precision without loss.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

__all__ = ["BATCH", "PENALTY", "Block", "Task", "standardised_blocks"]

PENALTY = 0.463
"""Of the decoder: 0.5 * PENALTY * (|W|^2 + |b|^2) is added to the mean cross-entropy."""

BATCH = 64
"""Images in a step of the reference's training; its last step takes the rest."""


@dataclass(frozen=True, eq=False)
class Task:
    """Which images train and test the classifiers, and what they show.

    train, test: (split, image) rows of the features. codes: (split, training image), each training image's class
    from 0, in an order that may differ between splits. classes: how many.
    """

    train: NDArray[np.intp]
    test: NDArray[np.intp]
    codes: NDArray[np.intp]
    classes: int

    @property
    def rows(self) -> NDArray[np.intp]:
        """(split, image): the training images, then the test images."""
        return np.concatenate([self.train, self.test], axis=1)


@dataclass(frozen=True, eq=False)
class Block:
    """Some features of all images: z of split s is (x - shift[s]) * scale[s].

    columns: where they stand. x: (image, feature) float64; shift, scale: (split, feature) float64.
    """

    columns: slice
    x: torch.Tensor
    shift: torch.Tensor
    scale: torch.Tensor


def standardised_blocks(
    features: NDArray[Any], train: NDArray[np.intp], device: torch.device, width: int = 2048
) -> Iterator[Block]:
    """The features (image, feature) in blocks of columns, with each split's training statistics (ddof 0).

    A feature that is constant on a split's training images is centred and left unscaled, as by StandardScaler.
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
        # What is left of x when it does not vary is the rounding of its square.
        constant = variance <= 1e-11 * square
        scale = torch.where(constant, spread, torch.where(constant, 1.0, variance).rsqrt())
        yield Block(columns, x, shift, scale)

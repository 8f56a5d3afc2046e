"""Record large layers as random sums of their features, whose inner products are those of the features on average.

Each feature is added to one of `width` sums with a random sign (a count sketch: Charikar, Chen & Farach-Colton 2002;
Weinberger et al. 2009, ICML, for inner products). The error of an inner product has a standard deviation of at most
sqrt(2 / width) times the lengths of both vectors, whatever the number of features. Sums are formed as soon as a layer
has run, so that no more than the output of the largest layer is held.
"""

from typing import Any

import torch
from torch import Tensor

from cornet.errors import CornetError

__all__ = ["SKETCH", "sketch_rows", "sketched"]

SKETCH = 4096
"""Default number of sums."""


def sketched(subject: Any, width: int) -> Any:
    """Copy of a subject that records sites of more than `width` features as `width` sums.

    Raises CornetError for a subject that cannot, such as recorded features, and for a width below 1.
    """
    if not hasattr(subject, "with_sketch"):
        raise CornetError(
            f"{subject.name} is recorded already, so its features cannot be reduced; leave out sketch."
        )
    if width < 1:
        raise CornetError(f"sketch={width} must be at least 1.")
    return subject.with_sketch(width)


def sketch_rows(features: Tensor, width: int | None) -> Tensor:
    """The sums of features (batch, feature), (batch, width); the features themselves if they are as few."""
    count = features.shape[1]
    if width is None or count <= width:
        return features
    generator = torch.Generator().manual_seed(count)  # the same sums for every batch and every image
    place = torch.randint(width, (count,), generator=generator).to(features.device)
    sign = (torch.randint(2, (count,), generator=generator) * 2 - 1).to(features.device, features.dtype)
    sums = torch.zeros(len(features), width, dtype=features.dtype, device=features.device)
    return sums.index_add_(1, place, features * sign)

"""Reading a matrix of features in blocks of columns, as float64, so that one larger than memory can be compared."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor

from cornet.errors import CornetError

__all__ = ["MEMORY", "column_blocks"]

MEMORY = 1 << 28
"""Bytes that a block may take as float64."""


def column_blocks(
    features: Any, device: torch.device | str = "cpu", name: str = "features", memory: int = MEMORY
) -> Iterator[Tensor]:
    """Blocks of columns of (stimulus, feature), from left to right, float64 on `device`.

    features: as `cornet.brain.gram.as_matrix` gives them. Raises CornetError where a value is not finite.
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

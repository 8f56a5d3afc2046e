"""Make metamers block by block, and write the state after each block, so that a stopped program continues.

The images of a run that was stopped and continued equal those of one that was not, bit for bit.
"""

import contextlib
import io
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from cornet.brain.data.files.npz import read_arrays
from cornet.errors import CornetError
from cornet.files import atomic_write
from cornet.synthesis.metamers import metamers

__all__ = ["Blocks", "relative_loss", "run_blocks"]


@dataclass(frozen=True, eq=False)
class Blocks:
    """images: (image, channel, y, x) in 0..1 after the last block. losses: (block + 1, image), at the start and after
    each block. seconds: of all blocks together, without those before a stop that were not saved. resumed: blocks that
    were read from the state."""

    images: Tensor = field(repr=False)
    losses: NDArray[np.float64] = field(repr=False)
    seconds: float
    resumed: int = 0


def run_blocks(
    activations: Callable[[Tensor], Tensor],
    targets: Tensor,
    start: Tensor,
    lengths: NDArray[np.float64],
    *,
    batch: int = 64,
    state: Path | None = None,
    key: str = "",
    advance: Callable[[int], None] = lambda steps: None,
) -> Blocks:
    """Make metamers, as `cornet.synthesis.metamers.metamers` does, in blocks and in batches of images.

    lengths: (block, step), the length of each step. batch: images at a time; images do not influence each other. state:
    a file to which the images are written after each block; None: none. key: what the images depend on; a state of
    another key, or a damaged one, is started again. advance: called with the steps times images that are done.

    Raises CornetError as `metamers` does, and if the state cannot be written.
    """
    image, losses, done, seconds = start, np.empty((0, len(start))), 0, 0.0
    if state is not None and (saved := _read(state, key, start, len(lengths))) is not None:
        image, losses, seconds = saved
        done = len(losses) - 1
        advance(done * lengths.shape[1] * len(start))
    resumed = done
    if not done:
        losses = relative_loss(activations, start, targets, batch)[None]
    for steps in lengths[done:]:
        before = time.perf_counter()
        parts = []
        for shown, wanted in zip(image.split(batch), targets.split(batch), strict=True):
            parts.append(metamers(activations, wanted, shown, steps).images)
            advance(len(steps) * len(shown))
        image = torch.cat(parts)
        losses = np.concatenate([losses, relative_loss(activations, image, targets, batch)[None]])
        seconds += time.perf_counter() - before
        if state is not None:
            _write(state, key, image, losses, seconds)
    return Blocks(image, losses, seconds, resumed)


def relative_loss(
    activations: Callable[[Tensor], Tensor], images: Tensor, targets: Tensor, batch: int = 64
) -> NDArray[np.float64]:
    """The distance of the activations over the length of the target's, (image,)."""
    found = []
    with torch.no_grad():
        for shown, wanted in zip(images.split(batch), targets.split(batch), strict=True):
            a, b = (activations(one).flatten(1).double() for one in (shown, wanted))
            found.append(((a - b).norm(dim=1) / b.norm(dim=1)).cpu())
    return torch.cat(found).numpy()


def _write(path: Path, key: str, image: Tensor, losses: NDArray[np.float64], seconds: float) -> None:
    content = io.BytesIO()
    np.savez(content, key=np.array(key), images=image.cpu().numpy(), losses=losses, seconds=np.array(seconds))
    atomic_write(path, content.getvalue())


def _read(
    path: Path, key: str, start: Tensor, blocks: int
) -> tuple[Tensor, NDArray[np.float64], float] | None:
    """Images, losses and seconds of a state; None if there is none that fits."""
    if not path.is_file():
        return None
    with contextlib.suppress(CornetError, KeyError, ValueError, TypeError):
        arrays = read_arrays(path, "a state of cornet metamers")
        images, losses = arrays["images"], arrays["losses"]
        fits = str(arrays["key"]) == key and images.shape == tuple(start.shape)
        if fits and losses.shape[1:] == (len(start),) and 1 < len(losses) <= blocks + 1:
            return torch.from_numpy(images).to(start), losses.astype(float), float(arrays["seconds"])
    return None

"""How close are the activations of two different images? The distribution that metamers must surpass.

A threshold is the largest value of the pairs, so it grows with their number: always state it.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from cornet.errors import CornetError
from cornet.stimuli.samples import ImageSource, Key
from cornet.synthesis.images import Source, fitted
from cornet.synthesis.metamers import Closeness, closeness

__all__ = ["Pairs", "choose_pairs", "null_closeness", "pairs_of_source", "pairs_of_training"]

MANY = 1_000_000
"""Pairs above which pairs are drawn one by one, instead of from the list of all."""


@dataclass(frozen=True, eq=False)
class Pairs:
    """Pairs of different images. name: of the images. load: positions to (image, 3, size, size) uint8."""

    name: str
    places: NDArray[np.int64]
    load: Callable[[NDArray[np.int64]], Tensor]

    def __len__(self) -> int:
        return len(self.places)


def choose_pairs(images: int, pairs: int, seed: int = 0) -> NDArray[np.int64]:
    """Draw pairs of two different images, (pair, 2), each at most once; all pairs if there are fewer than `pairs`.

    The first pairs do not depend on how many are drawn. Raises CornetError for fewer than two images or one pair.
    """
    if pairs < 1:
        raise CornetError(f"--null {pairs} must be at least 1 pair of images; the default is 500.")
    if images < 2:
        raise CornetError(
            f"the null distribution needs at least 2 different images, not {images}; give more images, or others by "
            "--null-from, such as --null-from objects:200."
        )
    rng = np.random.default_rng(seed)
    total = images * (images - 1) // 2
    if total <= MANY:
        every = np.stack(np.triu_indices(images, 1), axis=1)
        return every[rng.permutation(total)[:pairs]].astype(np.int64)
    first = rng.random((2 * pairs + 100, 2))
    left = (first[:, 0] * images).astype(np.int64)
    right = (left + 1 + (first[:, 1] * (images - 1)).astype(np.int64)) % images
    drawn = np.sort(np.stack([left, right], axis=1), axis=1)
    once = np.sort(np.unique(drawn, axis=0, return_index=True)[1])
    return drawn[once[:pairs]]


def pairs_of_source(source: Source, pairs: int, size: int, seed: int = 0) -> Pairs:
    """Pairs of the images of a source."""

    def load(places: NDArray[np.int64]) -> Tensor:
        return source.pixels(places.tolist(), size)

    return Pairs(source.name, choose_pairs(len(source), pairs, seed), load)


def pairs_of_training(source: ImageSource, name: str, pairs: int, size: int, seed: int = 0) -> Pairs:
    """Pairs of training images of a run, through its augmentation (of epoch 0), as published."""
    images = source.train()

    def load(places: NDArray[np.int64]) -> Tensor:
        samples = images.__getitems__([Key(int(place), 0) for place in places])
        shown = [fitted(one.image.permute(1, 2, 0).numpy(), "a training image", size) for one in samples]
        return torch.stack(shown)

    return Pairs(f"training images of {name}", choose_pairs(len(images), pairs, seed), load)


def null_closeness(stage: nn.Module, pairs: Pairs, device: torch.device, batch: int) -> Closeness:
    """Closeness of the activations of each pair at a stage."""
    found: list[Closeness] = []
    with torch.no_grad():
        for start in range(0, len(pairs), batch):
            places = pairs.places[start : start + batch]
            images: Any = pairs.load(places.T.ravel()).to(device).float() / 255
            states = torch.cat([stage(part) for part in images.split(batch)])
            found.append(closeness(states[: len(places)], states[len(places) :]))
    spearman, pearson, snr = (
        np.concatenate([getattr(one, name) for one in found]) for name in ("spearman", "pearson", "snr")
    )
    return Closeness(spearman, pearson, snr, found[0].units)

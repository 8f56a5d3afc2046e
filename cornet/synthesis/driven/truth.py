"""True responses to any image, where they are known: V1 and V2 of the simulated brain respond to pixels.

Everything is in the unit of the bundle's responses, spikes from 70 to 170 ms.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from cornet.brain import simulated
from cornet.brain.neuron.target import Target
from cornet.brain.simulated.early import v1_preferred
from cornet.brain.simulated.stimuli import table_of
from cornet.errors import CornetError
from cornet.stimuli.objects import render

__all__ = ["NOISE_IMAGES", "Truth", "known_truth", "noise_pixels"]

NOISE_IMAGES = 60

SECONDS = 0.1
"""Duration of the bundle's time bin: true rates are in spikes/s."""

PIXEL_REGIONS = ("V1", "V2")


@dataclass(frozen=True, eq=False)
class Truth:
    """The true responses of a region's neuroids.

    respond: images (image, y, x) uint8 to responses (image, neuroid). size: pixels per side of an image. shown: (image,
    neuroid), to the images of the bundle. more: (image, neuroid), to further natural images. preferred: (neuroid,
    image, y, x), close to the optimal images of each; None if unknown.
    """

    region: str
    size: int
    respond: Callable[[NDArray[np.uint8]], NDArray[np.float64]] = field(repr=False)
    shown: NDArray[np.float64] = field(repr=False)
    more: NDArray[np.float64] = field(repr=False)
    preferred: NDArray[np.uint8] | None = field(default=None, repr=False)

    @property
    def natural(self) -> NDArray[np.float64]:
        """(image, neuroid), to all natural images."""
        return np.concatenate([self.shown, self.more])

    def optimum(self, columns: NDArray[np.int64]) -> NDArray[np.float64] | None:
        """The largest response of some neuroids to their preferred images; None if these are unknown."""
        if self.preferred is None:
            return None
        own = self.preferred[columns]
        found = self.respond(own.reshape(-1, self.size, self.size)).reshape(*own.shape[:2], -1)
        best: NDArray[np.float64] = found[np.arange(len(columns)), :, columns].max(axis=1)
        return best

    @cached_property
    def noise(self) -> NDArray[np.float64]:
        """(neuroid,), the largest response to images of uniform noise."""
        best: NDArray[np.float64] = self.respond(noise_pixels(self.size)).max(axis=0)
        return best


def known_truth(target: Target, natural: int | None = None) -> Truth | str:
    """The truth of a target's neuroids, or the reason why none is known.

    natural: number of natural images, at least those of the bundle; None: those. Raises CornetError for fewer, or if no
    more can be rendered.
    """
    own = len(target.stimuli)
    reason = ""
    if not target.simulated:
        reason = "no truth is known: show the images to the animal, and give the responses to cornet drive --responses"
    elif target.region not in PIXEL_REGIONS:
        reason = (
            f"no truth is known: {target.region} of the simulated brain responds to rendered objects, not to pixels "
            "(use simulated.V1 or simulated.V2)"
        )
    if reason:
        if natural is not None:
            raise CornetError(
                f"--natural needs the true responses to further images, but {reason}; leave it out."
            )
        return reason
    if natural is not None and natural < own:
        raise CornetError(
            f"--natural={natural} must be at least the {own} images of {target.name}; give more, or leave it out."
        )
    brain = simulated.brain()

    def respond(images: NDArray[np.uint8]) -> NDArray[np.float64]:
        return SECONDS * brain.respond(images, target.region)

    pictures = target.stimuli.pictures
    shown = respond(np.stack([pictures[k][..., 0] for k in range(own)]))
    more = np.empty((0, shown.shape[1]))
    if natural is not None and natural > own:
        rows = table_of(natural, brain.seed, brain.variation).iloc[own:]
        more = respond(render(rows, brain.size))
    preferred = v1_preferred(brain.size, shown.shape[1], brain.seed) if target.region == "V1" else None
    return Truth(target.region, brain.size, respond, shown, more, preferred)


def noise_pixels(size: int, count: int = NOISE_IMAGES, seed: int = 0) -> NDArray[np.uint8]:
    """Uniform white noise over all grey levels, (image, y, x)."""
    return np.random.default_rng(seed).integers(0, 256, (count, size, size), dtype=np.uint8)

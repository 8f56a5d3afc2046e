"""Synthesise images for several neuroids, several starts each, in batches that a stopped program does not lose.

Images do not influence each other, so the result does not depend on the batches. The starts and the shifts are the same
for all neuroids. Of a neuroid's starts, the one with the best *prediction* is chosen, whether or not the truth is
known.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol, get_args

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from cornet.errors import CornetError, check_choice
from cornet.sizes import check_positive_int, is_seed
from cornet.synthesis.driven.predictor import Predictor, to_images, to_pixels
from cornet.synthesis.driving import Mode, drive, random_shifts, score, start_images, total_variation

__all__ = ["VARIATION", "ImageStore", "Settings", "Synthesised", "score_of", "synthesise"]

VARIATION: dict[str, float] = {"stretch": 200.0, "one_hot": 5.0, "log_one_hot": 5.0}
"""Default weights of the total variation, in standard deviations of a response. The published 500 is in the unit of its
responses; 200 was chosen on simulated sites that no result is reported for (benchmarks/LOG.md)."""

BATCH = 1 << 18
"""Pixels of a batch: 64 images of 64 pixels per side, 5 of 224."""


@dataclass(frozen=True)
class Settings:
    """How images are synthesised, see `cornet.synthesis.driving.drive`. variation: None for the mode's default.

    Raises CornetError for an unknown mode, and for numbers out of range.
    """

    mode: Mode = "stretch"
    variation: float | None = None
    steps: int = 200
    step: float = 0.01
    starts: int = 5
    seed: int = 0

    def __post_init__(self) -> None:
        check_choice("--mode", self.mode, get_args(Mode))
        check_positive_int("--steps", self.steps, 100_000)
        check_positive_int("--starts", self.starts, 1000)
        for word, value in (("--step", self.step), ("--variation", self.weight)):
            if not 0 <= value < float("inf") or (word == "--step" and value == 0):
                least = "above 0" if word == "--step" else "at least 0"
                raise CornetError(f"{word}={value!r} must be a number {least}.")
        if not is_seed(self.seed):
            raise CornetError(f"--seed={self.seed!r} must be a whole number from 0 to 4294967295.")

    @property
    def weight(self) -> float:
        return VARIATION[self.mode] if self.variation is None else self.variation

    def check_population(self, neuroids: int) -> None:
        """Raise CornetError for a one-hot mode with a single neuroid."""
        if self.mode != "stretch" and neuroids < 2:
            raise CornetError(
                f"--mode {self.mode} drives one neuroid against the others, but there is {neuroids}; name several, or "
                "use --mode stretch."
            )

    def as_dict(self) -> dict[str, Any]:
        return {
            "mode": self.mode,
            "variation": self.weight,
            "steps": self.steps,
            "step": self.step,
            "starts": self.starts,
            "seed": self.seed,
        }


class ImageStore(Protocol):
    """Keeps images (y, x, channel) uint8 by neuroid and start."""

    def read(self, neuroid: int, start: int) -> NDArray[np.uint8] | None: ...

    def write(self, neuroid: int, start: int, pixels: NDArray[np.uint8]) -> None: ...


@dataclass(frozen=True, eq=False)
class Synthesised:
    """8-bit images and what is predicted for them.

    neuroids: (target,), positions in the predictor. pixels: (target, start, y, x, channel) uint8. predictions: (target,
    start, neuroid), in the unit of the responses. variation: (target, start), total variation of images in -1..1.
    scores: (target, start), what was raised. made: how many images were not there already.
    """

    neuroids: NDArray[np.int64]
    pixels: NDArray[np.uint8] = field(repr=False)
    predictions: NDArray[np.float64] = field(repr=False)
    variation: NDArray[np.float64] = field(repr=False)
    scores: NDArray[np.float64] = field(repr=False)
    made: int = 0

    @property
    def best(self) -> NDArray[np.int64]:
        """(target,), the start with the best prediction."""
        return self.scores.argmax(axis=1)

    @property
    def chosen(self) -> NDArray[np.uint8]:
        """(target, y, x, channel), the images of the best starts."""
        return self.pixels[np.arange(len(self.pixels)), self.best]


def synthesise(
    predictor: Predictor,
    neuroids: NDArray[np.int64],
    side: int,
    channels: int,
    settings: Settings,
    store: ImageStore | None = None,
    progress: Callable[[int], None] = lambda count: None,
) -> Synthesised:
    """Synthesise `settings.starts` images for each neuroid.

    neuroids: (target,), positions in the predictor. side: pixels per side. channels: 1 or 3. store: where each batch is
    written as soon as it is finished; images that are there already are not made again. progress: called with the
    number of images that are done.

    Raises CornetError for a one-hot mode with a single neuroid, and as `drive`.
    """
    settings.check_population(len(predictor.columns))
    device = predictor.mean.device
    starts = start_images(settings.starts, side, channels, settings.seed).to(device)
    shifts = random_shifts(settings.steps, side, settings.seed)
    pixels = np.zeros((len(neuroids), settings.starts, side, side, channels), np.uint8)
    missing = []
    for place, neuroid in enumerate(neuroids):
        for start in range(settings.starts):
            found = None if store is None else store.read(int(neuroid), start)
            if found is None or found.shape != pixels.shape[2:]:
                missing.append((place, start))
            else:
                pixels[place, start] = found
    there = pixels.shape[0] * pixels.shape[1] - len(missing)
    progress(there)
    size = max(1, BATCH // side**2)
    for first in range(0, len(missing), size):
        part = missing[first : first + size]
        which = torch.tensor([int(neuroids[place]) for place, _ in part], device=device)
        driven = drive(
            predictor,
            starts[torch.tensor([start for _, start in part])],
            which,
            settings.mode,
            variation=settings.weight,
            steps=settings.steps,
            step=settings.step,
            shifts=shifts,
        )
        for (place, start), image in zip(part, to_pixels(driven.images), strict=True):
            pixels[place, start] = image
            if store is not None:
                store.write(int(neuroids[place]), start, image)
        progress(there + first + len(part))
    return _described(predictor, neuroids, pixels, settings, len(missing))


def score_of(
    predictor: Predictor, pixels: NDArray[np.uint8], neuroids: NDArray[np.int64], mode: Mode
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Predictions (image, neuroid) in the unit of the responses, scores (image,) and total variation (image,).

    pixels: (image, y, x, channel) uint8. neuroids: (image,), the neuroid that each image is for.
    """
    predictions, scores, variation = [], [], []
    size = max(1, BATCH // pixels.shape[1] ** 2)
    for first in range(0, len(pixels), size):
        images = to_images(pixels[first : first + size]).to(predictor.mean.device)
        which = torch.from_numpy(neuroids[first : first + size]).to(images.device)
        with torch.no_grad():
            standardised: Tensor = predictor(images)
            predictions.append(standardised * predictor.deviation + predictor.mean)
            scores.append(score(standardised, which, mode))
            variation.append(total_variation(images))
    found = [torch.cat(one).double().cpu().numpy() for one in (predictions, scores, variation)]
    return found[0], found[1], found[2]


def _described(
    predictor: Predictor,
    neuroids: NDArray[np.int64],
    pixels: NDArray[np.uint8],
    settings: Settings,
    made: int,
) -> Synthesised:
    flat = pixels.reshape(-1, *pixels.shape[2:])
    owners = np.repeat(neuroids, settings.starts)
    predictions, scores, variation = score_of(predictor, flat, owners, settings.mode)
    shape = pixels.shape[:2]
    return Synthesised(
        neuroids,
        pixels,
        predictions.reshape(*shape, -1),
        variation.reshape(shape),
        scores.reshape(shape),
        made,
    )

"""Model metamers: other images with the same activations at a stage (Feather et al. 2019, 2023).

An image is changed from noise until its activations equal those of another image. If people or other networks cannot
recognise it, the invariances of this stage are not theirs (Nat. Neurosci. 26, 2017). A metamer counts only if its
activations are closer to the target than those of any pair of different images, see `passes`.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.stats import rankdata
from torch import Tensor

from cornet.errors import CornetError

__all__ = [
    "FEW",
    "Closeness",
    "Metamers",
    "closeness",
    "metamers",
    "noise_images",
    "passes",
    "step_lengths",
    "thresholds",
]

SMALL = 1e-10
"""Added to the length of a gradient."""

FEW = 50
"""Numbers in a stage below which ranks of different images can be equal, so that Spearman's r is not required."""


@dataclass(frozen=True, eq=False)
class Metamers:
    """images: (image, channel, y, x) in 0..1. losses: (step, image), relative distances before each step."""

    images: Tensor = field(repr=False)
    losses: Tensor = field(repr=False)


@dataclass(frozen=True, eq=False)
class Closeness:
    """How close two sets of activations are, by image. spearman, pearson: correlations over units. snr: in dB, 10 log10
    of the target's norm over that of the difference (a ratio of norms, as published; infinite if equal). units: their
    number."""

    spearman: NDArray[np.float64]
    pearson: NDArray[np.float64]
    snr: NDArray[np.float64]
    units: int


def metamers(
    activations: Callable[[Tensor], Tensor], targets: Tensor, start: Tensor, steps: NDArray[np.float64]
) -> Metamers:
    """Change images until their activations equal those of the targets.

    activations: images (image, channel, y, x) in 0..1 to the activations of a stage (image, ...), of a network in
    evaluation mode with its own normalisation. targets: images. start: the first images, see `noise_images`. steps: the
    length of each step, see `step_lengths`. The loss is the distance of the activations over the length of the
    target's; gradients have length 1; the last images are kept.

    Raises CornetError for shapes that do not match, and for targets that the stage does not respond to.
    """
    if start.shape != targets.shape or targets.ndim != 4:
        raise CornetError(
            f"start {tuple(start.shape)} and targets {tuple(targets.shape)} must both be (image, channel, y, x)."
        )
    with torch.no_grad():
        wanted = activations(targets).flatten(1)
    length = wanted.norm(dim=1)
    if not (length > 0).all():
        raise CornetError(
            f"the stage does not respond to target {int((length == 0).nonzero()[0])}; choose a stage and step that the "
            "image reaches."
        )
    image = start.detach().clone()
    losses = image.new_empty(len(steps), len(image))
    for number, step in enumerate(steps):
        image.requires_grad_()
        loss = (activations(image).flatten(1) - wanted).norm(dim=1) / length
        (gradient,) = torch.autograd.grad(loss.sum(), image)
        losses[number] = loss.detach()
        norm = gradient.flatten(1).norm(dim=1)[:, None, None, None]
        image = (image.detach() - float(step) * gradient / (norm + SMALL)).clamp(0, 1)
    return Metamers(image.detach(), losses)


def step_lengths(first: float = 1.0, steps: int = 3000, blocks: int = 8) -> NDArray[np.float64]:
    """`steps` steps of length `first`, then as many of half the length, and so on: the published schedule.

    Fewer steps need longer ones: length x steps of a block about 3 to 4 times the distance from start to end, which is
    about sqrt(3 x size^2) x .2.
    """
    if steps < 1 or blocks < 1 or not first > 0:
        raise CornetError(f"first={first}, steps={steps} and blocks={blocks} must be above 0.")
    return np.repeat(first * 0.5 ** np.arange(blocks), steps)


def noise_images(count: int, size: int, channels: int = 3, seed: int = 0) -> Tensor:
    """Grey with Gaussian noise, clipped to 0..1: N(.5, (1 / 20)^2), (image, channel, y, x) float32.

    An image depends on the seed and its number, not on how many there are; all stages start from the same.
    """
    images = []
    for number in range(count):
        generator = torch.Generator().manual_seed(1_000_003 * seed + number)
        images.append(0.5 + torch.randn(channels, size, size, generator=generator) / 20)
    return torch.stack(images).clamp(0, 1)


def closeness(activations: Tensor, targets: Tensor) -> Closeness:
    """Compare activations (image, ...) with those of the targets, image by image."""
    a, b = (one.detach().flatten(1).double().cpu().numpy() for one in (activations, targets))
    if a.shape != b.shape:
        raise CornetError(
            f"activations of shape {a.shape} and {b.shape} must have the same images and units."
        )
    with np.errstate(divide="ignore", invalid="ignore"):
        snr = 10 * np.log10(np.linalg.norm(b, axis=1) / np.linalg.norm(b - a, axis=1))
    ranks = (rankdata(one, axis=1) for one in (a, b))
    return Closeness(_correlations(*ranks), _correlations(a, b), snr, a.shape[1])


def thresholds(null: Closeness) -> dict[str, float]:
    """The largest value of each measure over pairs of different images, which a metamer must surpass.

    null: closeness of the pairs. A pair with an activation that is all zero counts 0 in all measures. Spearman's r is
    left out for stages of fewer than 50 numbers, where two images can have the same ranks. A largest value grows with
    the number of pairs.
    """
    measures = ("pearson", "snr") if null.units < FEW else ("spearman", "pearson", "snr")
    values = {
        name: np.nan_to_num(getattr(null, name), nan=0.0, neginf=0.0, posinf=math.inf) for name in measures
    }
    return {name: float(value.max(initial=-math.inf)) for name, value in values.items()}


def passes(found: Closeness, null: Closeness) -> NDArray[np.bool_]:
    """Which metamers are closer to their targets than any pair of different images, by every measure of `thresholds`.

    null: closeness of pairs of different images, at the same stage.
    """
    passed = np.ones(len(found.pearson), bool)
    for name, limit in thresholds(null).items():
        passed &= np.nan_to_num(getattr(found, name), nan=-math.inf, posinf=math.inf) > limit
    return passed


def _correlations(a: NDArray[np.float64], b: NDArray[np.float64]) -> NDArray[np.float64]:
    """Pearson's r of each row; NaN for a constant one."""
    a, b = (one - one.mean(axis=1, keepdims=True) for one in (a, b))
    with np.errstate(divide="ignore", invalid="ignore"):
        r: NDArray[np.float64] = (a * b).sum(axis=1) / np.sqrt((a**2).sum(axis=1) * (b**2).sum(axis=1))
    return r

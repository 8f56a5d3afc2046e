"""Synthesise images that drive neurons through a network that predicts them (Bashivan, Kar & DiCarlo 2019).

"stretch" raises the predicted response of one neuroid, "one_hot" raises it relative to all others of a population. Each
step shifts the image at random, follows the gradient divided by its own standard deviation, and clips. Predictions
overshoot what neurons do: never report them as the result (Science 364, eaav9436).
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal, get_args

import torch
from torch import Tensor

from cornet.errors import CornetError, check_choice

__all__ = ["Driven", "Mode", "drive", "random_shifts", "start_images", "total_variation"]

Mode = Literal["stretch", "one_hot", "log_one_hot"]

SMALL = 1e-8
"""Added to the standard deviation of a gradient."""

JITTER = 19 / 299
"""Largest published shift, as a share of the image."""


@dataclass(frozen=True, eq=False)
class Driven:
    """images: (image, channel, y, x) in -1..1. losses: (step, image), before each step. predictions: (image, neuroid)
    of the final images, as predicted. variation: (image,), their total variation."""

    images: Tensor = field(repr=False)
    losses: Tensor = field(repr=False)
    predictions: Tensor = field(repr=False)
    variation: Tensor = field(repr=False)


def drive(
    predict: Callable[[Tensor], Tensor],
    start: Tensor,
    neuroids: Tensor,
    mode: Mode = "stretch",
    *,
    variation: float = 500.0,
    steps: int = 200,
    step: float = 0.01,
    shifts: Tensor | None = None,
) -> Driven:
    """Change images so that each drives its neuroid. Images do not influence each other: a batch equals single runs.

    predict: images (image, channel, y, x) in -1..1 to predicted responses (image, neuroid), in evaluation mode; for
    one_hot, standardised by each neuroid's training mean and standard deviation. start: the first images. neuroids:
    (image,), the position of each image's neuroid. mode: "stretch", "one_hot" (the neuroid's share of a softmax over
    the population), or "log_one_hot" (its logarithm, which does not saturate). variation: weight of the total
    variation, which keeps images natural: without it predictions rise and true responses fall. step: change of a
    pixel for a gradient of one standard deviation. shifts: (step, 2), circular shifts in y and x pixels, from
    `random_shifts`; None: none.

    Raises CornetError for unknown modes, shapes that do not match, and predictions that do not depend on the image.
    """
    check_choice("mode", mode, get_args(Mode))
    if start.ndim != 4 or len(neuroids) != len(start):
        raise CornetError(
            f"start of shape {tuple(start.shape)} must be (image, channel, y, x), with one neuroid for each image, not "
            f"{len(neuroids)}."
        )
    if shifts is not None and shifts.shape != (steps, 2):
        raise CornetError(f"shifts of shape {tuple(shifts.shape)} must be ({steps}, 2), one for each step.")
    image = start.detach().clone()
    losses = image.new_empty(steps, len(image))
    for number in range(steps):
        moved = (0, 0) if shifts is None else (int(shifts[number, 0]), int(shifts[number, 1]))
        shifted = image.roll(moved, dims=(2, 3)).requires_grad_()
        loss = -score(predict(shifted), neuroids, mode) + variation * total_variation(shifted)
        (gradient,) = torch.autograd.grad(loss.sum(), shifted)
        losses[number] = loss.detach()
        gradient = gradient.roll((-moved[0], -moved[1]), dims=(2, 3))
        deviation = gradient.flatten(1).std(dim=1, correction=0)
        if not torch.isfinite(deviation).all():
            raise CornetError(
                f"the gradient of image {int((~torch.isfinite(deviation)).nonzero()[0])} at step {number} is not "
                "finite; find where the network overflows, or give smaller images."
            )
        if number == 0 and variation == 0 and not (deviation > 0).all():
            raise CornetError(
                f"the prediction of neuroid {int(neuroids[int((deviation == 0).nonzero()[0])])} does not depend on the "
                "image; use another start or mapping."
            )
        image = (image - step * gradient / (deviation[:, None, None, None] + SMALL)).clamp(-1, 1)
    with torch.no_grad():
        return Driven(image, losses, predict(image), total_variation(image))


def score(predictions: Tensor, neuroids: Tensor, mode: Mode) -> Tensor:
    """What is raised, (image,). predictions: (image, neuroid)."""
    if mode != "stretch":
        predictions = predictions.log_softmax(dim=1)
    own = predictions.gather(1, neuroids[:, None])[:, 0]
    return own.exp() if mode == "one_hot" else own


def total_variation(images: Tensor) -> Tensor:
    """Half the mean squared difference of neighbours, vertical plus horizontal, (image,).

    images: (image, channel, y, x). White noise, uniform in -a..a, has 2 a^2 / 3.
    """
    vertical, horizontal = images.diff(dim=2), images.diff(dim=3)
    return (vertical.square().flatten(1).mean(dim=1) + horizontal.square().flatten(1).mean(dim=1)) / 2


def start_images(count: int, size: int, channels: int = 1, seed: int = 0) -> Tensor:
    """White noise, each image within -.5..+.5, (image, channel, y, x) float32.

    An image depends on the seed and its number, not on how many there are.
    """
    images = []
    for number in range(count):
        generator = torch.Generator().manual_seed(1_000_003 * seed + number)
        noise = 2 * torch.rand(channels, size, size, generator=generator) - 1
        images.append(noise / (2 * noise.abs().max()))
    return torch.stack(images)


def random_shifts(steps: int, size: int, seed: int = 0, share: float = JITTER) -> Tensor:
    """Circular shifts in y and x of at most `share` of the image, (step, 2) int64."""
    most = math.floor(share * size)
    if most == 0:
        return torch.zeros(steps, 2, dtype=torch.int64)
    return torch.randint(-most, most, (steps, 2), generator=torch.Generator().manual_seed(seed))

"""The images that a network takes: size, mean and standard deviation, degrees, and the names of the classes."""

import math
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from cornet.sizes import MAX_PIXELS
from cornet.stimuli.normalisation import IMAGENET_MEAN, IMAGENET_STD, pixel_scale

__all__ = ["ImageSettings"]

MAX_NAME = 1000
"""Maximum characters of a class name."""
MAX_DEGREES = 360.0


@dataclass(frozen=True)
class ImageSettings:
    """The images that a network takes, and what its logits mean.

    size: pixels per side. mean, std: per channel, of images scaled to 0..1. degrees: of visual angle per side.
    classes: names in the order of the logits; () where they are unknown.
    """

    size: int = 224
    mean: tuple[float, ...] = IMAGENET_MEAN
    std: tuple[float, ...] = IMAGENET_STD
    degrees: float = 8.0
    classes: tuple[str, ...] = ()

    @property
    def pixels(self) -> tuple[Tensor, Tensor]:
        """Mean and std (channel, 1, 1) of pixel values 0..255, as `net(images, pixels=...)` takes them."""
        return pixel_scale(self.mean, self.std)

    def problem(self) -> str:
        """What is wrong with the values, as "size=0, which must be ..."; "" if nothing is."""
        if type(self.size) is not int or not 1 <= self.size <= MAX_PIXELS:
            return f"size={self.size!r}, which must be 1 to {MAX_PIXELS:,} pixels"
        for word, low in (("mean", -math.inf), ("std", 0.0)):
            value = getattr(self, word)
            if (
                not isinstance(value, tuple)
                or len(value) not in (1, 3)
                or not all(_within(x, low) for x in value)
            ):
                return f"{word}={value!r}, which must be one number per channel"
        if len(self.mean) != len(self.std):
            return f"mean={self.mean!r} and std={self.std!r}, which must have the same number of channels"
        if not _within(self.degrees, 0.0, MAX_DEGREES):
            return f"degrees={self.degrees!r}, which must be above 0 and at most {MAX_DEGREES:g}"
        names = self.classes
        if not isinstance(names, tuple) or not all(isinstance(x, str) and len(x) <= MAX_NAME for x in names):
            return f"names of classes that are not texts of at most {MAX_NAME:,} characters"
        return ""


def _within(value: Any, low: float, high: float = math.inf) -> bool:
    """Whether a value is a finite number above `low` and at most `high`."""
    return type(value) in (int, float) and low < value <= high and abs(value) < math.inf

"""Limits on sizes that files and commands may request, checked before memory or time is spent."""

import math
from numbers import Integral, Real
from typing import Any

from cornet.errors import CornetError

__all__ = [
    "MAX_CHANNELS",
    "MAX_PIXELS",
    "MAX_STEPS",
    "check_pixels",
    "check_positive",
    "check_positive_int",
    "is_seed",
]

MAX_STEPS = 1000
"""Maximum time steps of an area."""
MAX_CHANNELS = 1_000_000
"""Maximum channels of images and areas, and classes. Whether the weights fit in memory is checked separately."""
MAX_PIXELS = 10_000
"""Maximum pixels per side of an image."""


def check_pixels(word: str, size: Any) -> None:
    """Raise CornetError unless `size` is a whole number of pixels per side, 1 to MAX_PIXELS."""
    if isinstance(size, bool) or not isinstance(size, Integral) or not 1 <= int(size) <= MAX_PIXELS:
        raise CornetError(f"{word}={size!r} must be 1 to {MAX_PIXELS:,} pixels per side, such as 224.")


def check_positive_int(word: str, value: Any, most: int = MAX_CHANNELS) -> None:
    """Raise CornetError unless the value is an integer from 1 to `most`."""
    if not isinstance(value, Integral) or isinstance(value, bool) or int(value) < 1:
        raise CornetError(f"{word}={value!r} must be a whole number, at least 1.")
    if int(value) > most:
        raise CornetError(f"{word}={value} is too large; give at most {most:,}.")


def check_positive(word: str, value: Any) -> None:
    """Raise CornetError unless the value is a finite number above 0."""
    if not isinstance(value, Real) or isinstance(value, bool) or not 0 < float(value) < math.inf:
        raise CornetError(f"{word}={value!r} must be a number above 0.")


def is_seed(seed: Any) -> bool:
    """Return whether `seed` is a whole number that PyTorch and numpy accept, 0 to 2**32 - 1."""
    return type(seed) is int and 0 <= seed < 2**32

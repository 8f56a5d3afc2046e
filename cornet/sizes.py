"""Limits on sizes that files and commands may request, checked before memory or time is spent."""

from numbers import Integral
from typing import Any

from cornet.errors import CornetError

__all__ = ["MAX_CHANNELS", "MAX_PIXELS", "MAX_STEPS", "check_pixels", "is_seed"]

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


def is_seed(seed: Any) -> bool:
    """Return whether `seed` is a whole number that PyTorch and numpy accept, 0 to 2**32 - 1."""
    return type(seed) is int and 0 <= seed < 2**32

"""The largest sizes that are built: what a file or a command asks for takes neither memory nor time before."""

from numbers import Integral
from typing import Any

from cornet.errors import CornetError

__all__ = ["MOST_CHANNELS", "MOST_PIXELS", "MOST_STEPS", "check_pixels", "is_seed"]

MOST_STEPS = 1000
"""Time steps of an area."""
MOST_CHANNELS = 1_000_000
"""Channels of images and areas, and classes. Whether the weights fit in memory is checked when they are made."""
MOST_PIXELS = 10_000
"""Pixels a side of an image."""


def check_pixels(word: str, size: Any) -> None:
    """Raise CornetError unless `size` is a whole number of pixels a side, 1 to MOST_PIXELS."""
    if isinstance(size, bool) or not isinstance(size, Integral) or not 1 <= int(size) <= MOST_PIXELS:
        raise CornetError(f"{word}={size!r} must be 1 to {MOST_PIXELS:,} pixels a side, such as 224.")


def is_seed(seed: Any) -> bool:
    """Whether `seed` is a whole number that PyTorch and numpy take, 0 to 2**32 - 1."""
    return type(seed) is int and 0 <= seed < 2**32

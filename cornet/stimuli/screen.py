"""Place a stimulus on a model's screen, given the visual angle of both.

A model declares how many degrees its input spans. Smaller stimuli are padded with mid-grey and larger ones are
cropped, so that a degree has the same number of pixels for every stimulus set.
"""

import math

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from cornet.errors import CornetError
from cornet.stimuli.geometry import squash_view

__all__ = ["check_degrees", "first_margin", "grey_screens", "place_on_screen"]

GREY = 128
"""Grey level of the padding, in all three channels."""

MAX_RATIO = 16.0
"""Largest ratio of screen to stimulus, or the reverse; above it, a unit is probably wrong."""


def place_on_screen(
    image: NDArray[np.uint8], degrees: float, screen_degrees: float = 8.0, size: int = 224
) -> Tensor:
    """Show an image (y, x, 3) uint8 that spans `degrees` on a screen that spans `screen_degrees`.

    Returns (3, size, size) uint8. The canvas has round(stimulus pixels * screen_degrees / degrees) pixels in y and in
    x (halves round to even, and it is at least one pixel). A stimulus smaller than the canvas is pasted in its centre,
    on mid-grey (128); a larger one is cropped to its centre. Half of an odd margin is rounded to an even number
    of pixels at the top and left. The canvas is then resized to a square by `cornet.stimuli.geometry.squash_view`
    (bilinear, antialiased).
    With equal degrees, the image itself is resized.

    Raises CornetError for degrees that are not above 0, and for sizes that differ by a factor above 16.
    Source: Brain-Score's place_on_screen.
    """
    check_degrees(degrees, screen_degrees)
    ratio = screen_degrees / degrees
    if ratio == 1:
        return squash_view(image, size)
    height, width = image.shape[:2]
    canvas_height, canvas_width = max(1, round(height * ratio)), max(1, round(width * ratio))
    if (canvas_height, canvas_width) == (height, width):
        return squash_view(image, size)
    return squash_view(_centered(image, canvas_height, canvas_width), size)


def check_degrees(degrees: float, screen_degrees: float) -> None:
    """Raise CornetError for visual angles that are not above 0 or differ by a factor above MAX_RATIO."""
    for word, value in (("degrees", degrees), ("screen_degrees", screen_degrees)):
        if not 0 < value < math.inf:
            raise CornetError(f"{word}={value!r} must be a visual angle above 0; give for example 8.")
    if not 1 / MAX_RATIO <= screen_degrees / degrees <= MAX_RATIO:
        raise CornetError(
            f"a stimulus of {degrees:g} degrees does not fit a screen of {screen_degrees:g}: they may differ by a "
            f"factor of at most {MAX_RATIO:g}; give both in degrees of visual angle."
        )


def _centered(image: NDArray[np.uint8], height: int, width: int) -> NDArray[np.uint8]:
    """Centre the image on a grey canvas of (height, width), cropped where it is larger."""
    canvas = np.full((height, width, 3), GREY, np.uint8)
    rows, columns = _overlap(image.shape[0], height), _overlap(image.shape[1], width)
    canvas[rows[1], columns[1]] = image[rows[0], columns[0]]
    return canvas


def _overlap(have: int, want: int) -> tuple[slice, slice]:
    """Slices of an image of `have` pixels and of a canvas of `want` pixels that overlap when centred."""
    common, margin = min(have, want), first_margin(have, want)
    inside, whole = slice(margin, margin + common), slice(0, common)
    return (inside, whole) if have > want else (whole, inside)


def first_margin(have: int, want: int) -> int:
    """Pixels at the top or left of an image of `have` pixels centred on `want`: half of the margin, halves to even."""
    return round(abs(have - want) / 2)


def grey_screens(count: int, size: int) -> Tensor:
    """Mid-grey screens, (count, 3, size, size) uint8."""
    return torch.full((count, 3, size, size), GREY, dtype=torch.uint8)

"""A stimulus on a screen of another size, measured in degrees of visual angle.

A model declares how many degrees its input spans; a stimulus that spans fewer is surrounded by mid-grey, one
that spans more loses its margin, so that a degree of the world is as many pixels for every stimulus set.
"""

import math

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from cornet.errors import CornetError
from cornet.stimuli.geometry import squash_view

__all__ = ["GREY", "check_degrees", "place_on_screen"]

GREY = 128
"""The canvas around a stimulus, in all three channels."""

MAX_RATIO = 16.0
"""Largest ratio of screen to stimulus, or stimulus to screen: beyond, one of the two is a dot, or a unit is wrong."""


def place_on_screen(
    image: NDArray[np.uint8], degrees: float, screen_degrees: float = 8.0, size: int = 224
) -> Tensor:
    """Show an image (y, x, 3) uint8 that spans `degrees` on a screen that spans `screen_degrees`.

    Returns (3, size, size) uint8. The canvas is round(stimulus pixels * screen_degrees / degrees) pixels, in y and in
    x (halves are rounded to the even number, and a canvas is at least one pixel). A stimulus that is smaller than the
    canvas is pasted on its centre, on mid-grey (128); of a larger one the centre is cut out. Where the margin is odd,
    the smaller half is above and to the left. The canvas is then resized (squashed to a square, bilinear,
    antialiased) as by `cornet.stimuli.geometry.squash_view`. With equal degrees the image itself is resized.

    Raises CornetError for degrees that are not above 0, and for extents that differ more than 16 times.
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
    """Refuse visual angles that cannot be."""
    for word, value in (("degrees", degrees), ("screen_degrees", screen_degrees)):
        if not 0 < value < math.inf:
            raise CornetError(f"{word}={value!r} must be a visual angle above 0; use for example 8.")
    if not 1 / MAX_RATIO <= screen_degrees / degrees <= MAX_RATIO:
        raise CornetError(
            f"a stimulus of {degrees:g} degrees does not go on a screen of {screen_degrees:g}: they may differ "
            f"{MAX_RATIO:g} times at most; give both in degrees of visual angle."
        )


def _centered(image: NDArray[np.uint8], height: int, width: int) -> NDArray[np.uint8]:
    """The image on a grey canvas of (height, width), centred in each direction: pasted where smaller, else cut."""
    canvas = np.full((height, width, 3), GREY, np.uint8)
    rows, columns = _overlap(image.shape[0], height), _overlap(image.shape[1], width)
    canvas[rows[1], columns[1]] = image[rows[0], columns[0]]
    return canvas


def _overlap(have: int, want: int) -> tuple[slice, slice]:
    """Where `have` pixels and a canvas of `want` lie on each other: the slice of the image, and of the canvas."""
    common, margin = min(have, want), abs(have - want) // 2
    inside, whole = slice(margin, margin + common), slice(0, common)
    return (inside, whole) if have > want else (whole, inside)


def grey_screens(count: int, size: int) -> Tensor:
    """Empty screens, (count, 3, size, size) uint8."""
    return torch.full((count, 3, size, size), GREY, dtype=torch.uint8)

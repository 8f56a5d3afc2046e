"""Shift and mirror many small images at once, for in-memory data sets."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from cornet.errors import CornetError
from cornet.stimuli.draws import uniform
from cornet.stimuli.samples import Key

__all__ = ["Moves", "check_shift", "draw_moves", "shift_and_flip"]


def check_shift(shift: object) -> None:
    """Raise CornetError unless `shift` is a share of the image from 0 to 0.5."""
    if not (isinstance(shift, int | float) and 0 <= shift <= 0.5):
        raise CornetError(
            f"shift={shift!r} must be a share of the image from 0 to 0.5; give for example 0.0625."
        )


def shift_and_flip(
    images: np.ndarray,
    keys: Sequence[Key],
    *,
    stream: str,
    seed: int,
    shift: int,
    flip: bool,
    colour: Sequence[int] | None = None,
) -> np.ndarray:
    """Return the images of `keys`, shifted and mirrored depending only on (seed, epoch, index).

    images: all images, (image, channel, y, x) uint8. stream: name of the random stream.
    shift: largest shift along each axis, in pixels. flip: mirror half of the images. colour: padding per channel;
    None: reflect the image at its edge.
    Returns (key, channel, y, x) uint8, writable.
    """
    index = np.array(keys, dtype=np.int64).reshape(-1, 2)[:, 0]
    shown = images[index]
    moves = draw_moves(keys, stream=stream, seed=seed, shift=shift, flip=flip)
    if shift:
        windows = sliding_window_view(pad_images(shown, shift, colour), shown.shape[2:], axis=(2, 3))
        shown = windows[np.arange(len(index)), :, shift - moves.down, shift - moves.right]
    if flip:
        shown[moves.mirrored] = shown[moves.mirrored][..., ::-1]
    return shown


class Moves(NamedTuple):
    """How images are moved, (key,) each: pixels down and right, and whether they are mirrored after that."""

    down: np.ndarray
    right: np.ndarray
    mirrored: np.ndarray


def draw_moves(keys: Sequence[Key], *, stream: str, seed: int, shift: int, flip: bool) -> Moves:
    """Draw what `shift_and_flip` does to the images of `keys`, for targets that move with them."""
    index, epoch = np.array(keys, dtype=np.int64).reshape(-1, 2).T
    down, right = (
        shift - (uniform(stream, seed, epoch, index, axis) * (2 * shift + 1)).astype(int)
        for axis in ("y", "x")
    )
    mirrored = uniform(stream, seed, epoch, index, "flip") < 0.5 if flip else np.zeros(len(index), bool)
    return Moves(down, right, mirrored)


def pad_images(images: np.ndarray, pad: int, colour: Sequence[int] | None) -> np.ndarray:
    """Add a border of `pad` pixels, of `colour` or reflected."""
    if colour is None:
        return np.pad(images, ((0, 0), (0, 0), (pad, pad), (pad, pad)), mode="reflect")
    n, channels, height, width = images.shape
    wide = np.empty((n, channels, height + 2 * pad, width + 2 * pad), dtype=images.dtype)
    wide[:] = np.array(colour, dtype=images.dtype)[:, None, None]
    wide[:, :, pad : pad + height, pad : pad + width] = images
    return wide

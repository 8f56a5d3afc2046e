"""Shift and mirror many small images at once, for in-memory data sets."""

from collections.abc import Sequence

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from cornet.stimuli.draws import uniform
from cornet.stimuli.samples import Key

__all__ = ["shift_and_flip"]


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
    index, epoch = np.array(keys, dtype=np.int64).reshape(-1, 2).T
    shown = images[index]
    if shift:
        top, left = (
            (uniform(stream, seed, epoch, index, axis) * (2 * shift + 1)).astype(int) for axis in ("y", "x")
        )
        windows = sliding_window_view(pad_images(shown, shift, colour), shown.shape[2:], axis=(2, 3))
        shown = windows[np.arange(len(index)), :, top, left]
    if flip:
        mirrored = uniform(stream, seed, epoch, index, "flip") < 0.5
        shown[mirrored] = shown[mirrored][..., ::-1]
    return shown


def pad_images(images: np.ndarray, pad: int, colour: Sequence[int] | None) -> np.ndarray:
    """Add a border of `pad` pixels, of `colour` or reflected."""
    if colour is None:
        return np.pad(images, ((0, 0), (0, 0), (pad, pad), (pad, pad)), mode="reflect")
    n, channels, height, width = images.shape
    wide = np.empty((n, channels, height + 2 * pad, width + 2 * pad), dtype=images.dtype)
    wide[:] = np.array(colour, dtype=images.dtype)[:, None, None]
    wide[:, :, pad : pad + height, pad : pad + width] = images
    return wide

"""V4 of the simulated brain: tuning to the curvature and angular position of parts of the object's outline.

Based on Pasupathy and Connor (2001, J Neurophysiol 86:2505). The outline is computed from the rendered mask.
"""

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from cornet.brain.simulated.randomness import uniform

__all__ = ["outline_curvature", "v4_drive"]

_BLUR = 0.02
"""Standard deviation, in image widths, of the blur of the mask before its curvature is computed."""

_ANGLE, _CURVATURE = 0.6, 0.18
"""Tuning widths: of the angle in radians, and of the curvature, which is from -1 to 1."""


def v4_drive(masks: NDArray[np.float32], neuroids: int, seed: int) -> NDArray[np.float64]:
    """Drive of V4, (stimulus, neuroid), >= 0, from masks (stimulus, y, x). Each unit prefers two parts of outlines."""
    weight, angle, curvature = outline_curvature(masks)
    image, pixel = np.nonzero(weight > 1e-4)  # other pixels do not contribute to the sums
    weight, angle, curvature = (values[image, pixel] for values in (weight, angle, curvature))
    starts = np.searchsorted(image, np.arange(len(masks) + 1))
    unit = np.arange(neuroids)
    pieces = []
    for piece in ("first", "second"):
        side = 2 * np.pi * uniform(seed, "V4", unit, piece, "side")
        bend = -0.35 + 1.15 * uniform(seed, "V4", unit, piece, "bend")
        drive = np.empty((len(masks), neuroids))
        for n in range(neuroids):
            near = (np.cos(angle - side[n]) - 1) / _ANGLE**2 - (curvature - bend[n]) ** 2 / (
                2 * _CURVATURE**2
            )
            total = np.concatenate([[0.0], np.cumsum(weight * np.exp(near), dtype=np.float64)])
            drive[:, n] = np.diff(total[starts])
        pieces.append(np.sqrt(np.maximum(drive, 0)))
    first, second = pieces
    return first + second + 4 * first * second


def outline_curvature(
    masks: NDArray[np.float32],
) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
    """Weight, side and curvature of the outline at each pixel of each mask, (stimulus, pixel) each.

    weight: share of the outline's length; sums to 1, or to 0 without an object. side: angle in radians around the
    object's centre, anticlockwise from the right. curvature: k / (1 + |k|), where k is the curvature of the level line
    of the blurred mask times the mean radius: 1/2 for a disc, 0 for a straight edge, negative in a notch.
    """
    size = masks.shape[1]
    smooth = gaussian_filter(masks, (0, _BLUR * size, _BLUR * size), mode="constant")
    down, across = np.gradient(smooth, axis=(1, 2))
    down_down, down_across = np.gradient(down, axis=(1, 2))
    across_across = np.gradient(across, axis=2)
    slope = np.hypot(down, across)
    bend = -(across_across * down**2 - 2 * across * down * down_across + down_down * across**2)
    bend /= slope**3 + np.float32(1e-6)
    grid = np.arange(size, dtype=np.float32)
    area = masks.sum((1, 2)) + np.float32(1e-6)
    centre_x = (masks.sum(1) * grid).sum(1) / area
    centre_y = (masks.sum(2) * grid).sum(1) / area
    bend *= np.sqrt(area / np.float32(np.pi))[:, None, None]
    curvature = bend / (1 + np.abs(bend))
    side = np.arctan2(centre_y[:, None, None] - grid[:, None], grid[None, :] - centre_x[:, None, None])
    total = slope.sum((1, 2), keepdims=True)
    weight = np.divide(slope, total, out=np.zeros_like(slope), where=total > 0)
    flat = (len(masks), -1)
    return weight.reshape(flat), side.reshape(flat), curvature.reshape(flat)

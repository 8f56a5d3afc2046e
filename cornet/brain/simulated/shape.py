"""V4 of the simulated brain: tuning to the curvature of the outline at a side of the object.

After Pasupathy and Connor (2001, J Neurophysiol 86:2505). The outline comes from the renderer's mask.
"""

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from cornet.brain.simulated.randomness import uniform

__all__ = ["outline_curvature", "v4_drive"]

_BLUR = 0.02
"""Standard deviation, in image widths, by which the mask is blurred before its curvature is taken."""

_ANGLE, _CURVATURE = 0.6, 0.18
"""Widths of tuning: radians, and curvature from -1 to 1."""


def v4_drive(masks: NDArray[np.float32], neuroids: int, seed: int) -> NDArray[np.float64]:
    """Responses of V4 to (stimulus, y, x) masks, (stimulus, neuroid), >= 0: each unit prefers two pieces of outline."""
    weight, angle, curvature = outline_curvature(masks)
    image, pixel = np.nonzero(weight > 1e-4)  # the rest of the picture has no part in the sums
    weight, angle, curvature = (part[image, pixel] for part in (weight, angle, curvature))
    starts = np.searchsorted(image, np.arange(len(masks) + 1))
    unit = np.arange(neuroids)
    pieces = []
    for piece in ("first", "second"):
        side = 2 * np.pi * uniform(seed, "V4", unit, piece, "side")
        bend = -0.35 + 1.15 * uniform(seed, "V4", unit, piece, "bend")
        found = np.empty((len(masks), neuroids))
        for n in range(neuroids):
            near = (np.cos(angle - side[n]) - 1) / _ANGLE**2 - (curvature - bend[n]) ** 2 / (
                2 * _CURVATURE**2
            )
            total = np.concatenate([[0.0], np.cumsum(weight * np.exp(near), dtype=np.float64)])
            found[:, n] = np.diff(total[starts])
        pieces.append(np.sqrt(np.maximum(found, 0)))
    first, second = pieces
    return first + second + 4 * first * second


def outline_curvature(
    masks: NDArray[np.float32],
) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
    """The outline of each mask, pixel by pixel: weight, side and curvature, (stimulus, pixel) each.

    weight: share of the outline's length; sums to 1, or to 0 where there is no object. side: angle in radians from
    the object's centre, anticlockwise from the right. curvature: k / (1 + |k|), k being that of the level line of
    the blurred mask times the object's mean radius: 1/2 for a disc, 0 for a straight edge, negative in a notch.
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

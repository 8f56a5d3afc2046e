"""Where the object is in a rendered image: a map of what is important, in place of the maps that people draw."""

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from cornet.stimuli.objects.rendering import compose

__all__ = ["map_targets", "object_maps"]

BLUR = 2.5 / 64
"""Standard deviation of the blur, as a share of the image."""


def object_maps(latents: pd.DataFrame, size: int, antialias: int = 2) -> NDArray[np.uint8]:
    """The share of each pixel that the object covers, blurred, (image, size, size) uint8; 0 without an object."""
    maps = np.zeros((len(latents), size, size), np.float32)
    for place, row in enumerate(latents.to_dict("records")):
        traced = compose(row, size, antialias=antialias)[1]
        if traced is not None:
            maps[place, traced.rows, traced.columns] = traced.coverage
    blurred = gaussian_filter(maps, BLUR * size, axes=(1, 2), mode="constant")
    return np.rint(255 * blurred.clip(0, 1)).astype(np.uint8)


def map_targets(maps: NDArray[np.uint8]) -> list[dict[str, Any]]:
    """The targets of a sample for each map (map, y, x): `map` in 0..1, and `map_token`, 0 for a constant map."""
    scaled = maps.astype(np.float32) / 255
    varies = maps.max(axis=(1, 2)) > maps.min(axis=(1, 2))
    return [{"map": one, "map_token": float(token)} for one, token in zip(scaled, varies, strict=True)]

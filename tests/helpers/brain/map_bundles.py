"""Small bundles of maps of activity, with known maps."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from tests.helpers.brain.small_bundles import ids, write_bundle

IMAGES, SIZE, NEUROIDS = 6, 4, 5


def features(seed: int = 0) -> np.ndarray:
    """(image, channel, y, x), float32."""
    return np.random.default_rng(seed).random((IMAGES, 12, SIZE, SIZE)).astype(np.float32)


def true_maps(noise: float = 0.0) -> np.ndarray:
    """(image, y, x, neuroid): weighted sums of the channels of `features`, scaled as the comparison does, and noise."""
    rng = np.random.default_rng(1)
    shown = features().astype(float)
    low, high = (end(shown, axis=(1, 2, 3), keepdims=True) for end in (np.min, np.max))
    maps = np.einsum("icyx,cn->iyxn", (shown - low) / (high - low), rng.normal(size=(12, NEUROIDS)))
    return 5 + maps + noise * rng.normal(size=maps.shape)


def presentations(maps: np.ndarray, trials: int = 1, noise: float = 0.0) -> xr.DataArray:
    """The maps as shuffled presentations of one bin."""
    rng = np.random.default_rng(2)
    images, height, width, neuroids = maps.shape
    image, y, x = (np.tile(axis.ravel(), trials) for axis in np.indices(maps.shape[:3]))
    order = rng.permutation(len(image))
    values = np.tile(maps.reshape(-1, neuroids), (trials, 1))
    values = (values + noise * rng.normal(size=values.shape))[order, :, None]
    coordinates: dict[str, Any] = {
        "stimulus_id": ("presentation", ids(images)[image][order]),
        "down": ("presentation", (10.0 * y - 15)[order]),
        "right": ("presentation", (10.0 * x - 15)[order]),
        "neuroid_id": ("neuroid", [f"n{k}" for k in range(neuroids)]),
        "region": ("neuroid", ["IT"] * neuroids),
        "time_bin_start": ("time_bin", [90]),
        "time_bin_end": ("time_bin", [130]),
    }
    if trials > 1:
        number = np.repeat(np.arange(trials), images * height * width)[order]
        coordinates["repetition"] = ("presentation", number)
    return xr.DataArray(values, coordinates, ("presentation", "neuroid", "time_bin"), name="made.maps")


def write(folder: Path, data: xr.DataArray, rule: Mapping[str, Any] | None = None) -> Path:
    """Write a bundle and its bundle.json. rule: further keys, or others."""
    table = pd.DataFrame({"stimulus_id": ids(IMAGES), "filename": [f"{name}.png" for name in ids(IMAGES)]})
    write_bundle(folder, data, table, IMAGES)
    (folder / "bundle.json").write_text(json.dumps({"map_by": ["down", "right"]} | dict(rule or {})))
    return folder


def recorded(path: Path, **layers: np.ndarray) -> Path:
    """A features.npz of the images."""
    np.savez(path, stimulus_ids=ids(IMAGES), **layers)
    return path

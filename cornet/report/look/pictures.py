"""Turn filters, maps and saliency into pixels."""

import numpy as np
from matplotlib import colormaps
from numpy.typing import NDArray

from cornet.report.look.inside import AreaMaps, Map

__all__ = ["coloured", "filter_sheet", "filter_tile", "overlay", "scale_of"]

MAPS = "viridis"
HEAT = "inferno"
STRONG = 99.5
"""Percentile of a saliency map that is drawn at full strength."""

Pixels = NDArray[np.uint8]


def filter_tile(values: Map) -> Pixels:
    """A filter (colour, y, x) as pixels (y, x, 3), scaled on its own: 0 is grey, its largest absolute value black or
    white (or full colour)."""
    peak = float(np.abs(values).max()) or 1.0
    shown = np.moveaxis(0.5 + 0.5 * values / peak, 0, -1)
    return np.rint(255 * np.broadcast_to(shown, (*shown.shape[:2], 3))).astype(np.uint8)


def filter_sheet(tiles: list[Pixels], columns: int, side: int = 44, gap: int = 4) -> Pixels:
    """All filters on one white picture, each enlarged to `side` pixels without smoothing."""
    rows = -(-len(tiles) // columns)
    step = side + gap
    sheet = np.full((rows * step - gap, min(columns, len(tiles)) * step - gap, 3), 255, np.uint8)
    for place, tile in enumerate(tiles):
        y, x = place // columns * step, place % columns * step
        down, right = (np.arange(side) * n // side for n in tile.shape[:2])
        sheet[y : y + side, x : x + side] = tile[down][:, right]
    return sheet


def scale_of(maps: list[Map | None]) -> tuple[float, float]:
    """Smallest and largest value of the maps of all steps, so that steps can be compared."""
    shown = [one for one in maps if one is not None]
    return float(min(one.min() for one in shown)), float(max(one.max() for one in shown))


def coloured(values: Map, ends: tuple[float, float]) -> Pixels:
    """A map (y, x) in colours, from the lower to the upper end."""
    low, high = ends
    span = high - low or 1.0
    return np.rint(255 * colormaps[MAPS]((values - low) / span)[..., :3]).astype(np.uint8)


def overlay(image: Pixels, values: Map) -> Pixels:
    """Saliency (y, x) over a grey image (y, x, 3), scaled on its own: where it is strong, its colour covers the
    image."""
    peak = float(np.percentile(values, STRONG)) or 1.0
    strength = np.clip(values / peak, 0, 1)[..., None]
    grey = image.mean(axis=-1, keepdims=True) / 255
    shown = (1 - strength) * (0.25 + 0.5 * grey) + strength * colormaps[HEAT](strength[..., 0])[..., :3]
    return np.rint(255 * np.clip(shown, 0, 1)).astype(np.uint8)


def rows_of(area: AreaMaps) -> dict[str, list[Map | None]]:
    """The rows of maps of an area, by their labels: the mean, then single channels."""
    return {"mean": area.mean, **{f"channel {number}": maps for number, maps in area.channels.items()}}

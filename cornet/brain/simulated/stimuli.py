"""Stimuli of the simulated brain: rendered objects, as pixels for V1 and V2, masks for V4, views for IT."""

from dataclasses import dataclass, field
from functools import cache

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cornet.errors import CornetError
from cornet.hashing import digest
from cornet.stimuli.objects import CATEGORIES, OBJECTS, draw_latents
from cornet.stimuli.objects.rendering import compose
from cornet.stimuli.stimulus_set import StimulusSet

__all__ = ["GreyPictures", "Scenes", "render_scenes", "stimulus_set", "table_of"]

DEGREES = 8.0
"""Visual angle of an image per side, as in the monkey benchmarks."""

VIEW = 24
"""Pixels per side of an object's view, which is independent of position, size and background."""

_STREAM = "simulated"


@dataclass(frozen=True, eq=False)
class GreyPictures:
    """Grey images (n, y, x) uint8, indexed as (y, x, 3)."""

    images: NDArray[np.uint8] = field(repr=False)
    identity: str

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> NDArray[np.uint8]:
        return np.repeat(self.images[index][:, :, None], 3, axis=2)


@dataclass(frozen=True, eq=False)
class Scenes:
    """Rendered arrays of the stimuli.

    images: (stimulus, y, x) uint8. masks: (stimulus, y, x) float32, the fraction of each pixel that the object covers.
    views: (stimulus, feature) float32, the object in a standard position, size and light.
    reference_views: (object, yaw, feature) float32, the same for every object of `OBJECTS` at eight yaws.
    """

    images: NDArray[np.uint8]
    masks: NDArray[np.float32]
    views: NDArray[np.float32]
    reference_views: NDArray[np.float32]


def table_of(n: int, seed: int, variation: float) -> pd.DataFrame:
    """Latents of n stimuli from `draw_latents`, from a random stream that training does not use."""
    return draw_latents(n, seed=seed, variation=variation, stream=_STREAM)


def stimulus_set(table: pd.DataFrame, images: NDArray[np.uint8]) -> StimulusSet:
    """The stimulus set of grey images (image, y, x) uint8, with latents as the table.

    Raises CornetError for other images.
    """
    if images.ndim != 3 or images.dtype != np.uint8:
        raise CornetError(
            f"the images are {images.dtype} of shape {images.shape}, but a stimulus set takes grey images "
            "(image, y, x) of uint8; average the channels."
        )
    return StimulusSet("simulated-objects", table, GreyPictures(images, digest(images)), degrees=DEGREES)


def render_scenes(table: pd.DataFrame, size: int) -> Scenes:
    """Render every stimulus, (size, size), with the mask and view of its object."""
    rows = table.to_dict("records")
    images = np.empty((len(rows), size, size), np.uint8)
    masks = np.zeros((len(rows), size, size), np.float32)
    for i, row in enumerate(rows):
        image, traced = compose(row, size)
        images[i] = np.rint(image * np.float32(255))  # as `render` does
        if traced is not None:
            masks[i, traced.rows, traced.columns] = traced.coverage
    views = np.stack([_view(row) for row in rows])
    return Scenes(images, masks, views, _reference_views())


@cache
def _reference_views() -> NDArray[np.float32]:
    """Views of every object from eight sides, at a pitch of 35 degrees, as stored by the simulated IT."""
    base = draw_latents(1, variation=0.0).to_dict("records")[0]
    views = [
        [
            _view({**base, "category_name": name, "object_name": object_name, "yaw": yaw, "pitch": 35})
            for yaw in range(-180, 180, 45)
        ]
        for name in CATEGORIES
        for object_name in OBJECTS[name]
    ]
    return np.asarray(views, np.float32)


def _view(row: dict) -> NDArray[np.float32]:
    """Outline and shading of the object, centred in a plain image in standard light, (2 * VIEW * VIEW,)."""
    plain = {
        **row,
        "x": 0.0,
        "y": 0.0,
        "size": 0.95,
        "light_azimuth": -40.0,
        "light_elevation": 45.0,
        "albedo": 0.9,
        "background": "plain",
    }
    outline, shading = np.zeros((2, VIEW, VIEW), np.float32)
    traced = compose(plain, VIEW, antialias=2)[1]
    if traced is not None:
        outline[traced.rows, traced.columns] = traced.coverage
        shading[traced.rows, traced.columns] = traced.luminance - np.float32(0.45) * traced.coverage
    return np.concatenate([outline.ravel(), shading.ravel()])

"""Convert the maps of Arcaro, Ponce & Livingstone 2020: macaque IT while images were shown all over its field.

A file of one animal (.npy, .npz, or .mat of any version) with the array imageRF, (y, x, ms, channel, image): the mean
response at each position of the grid, by ms after the image appeared. Both spatial axes are flipped, as in the analysis
of Linsley et al. 2023 (arXiv 2306.03779), so that a map has the orientation of its image. Responses are means over its
windows:

| animal | grid | channels | region | window in ms |
|---|---|---|---|---|
| George | 17 x 17 | the first 33 | IT-PL, posterior lateral | 90-130 |
| George | 17 x 17 | the others | IT-ML, middle lateral | 130-170 |
| Red | 9 x 9 | all | IT | 90-130 |

The animal is known by its grid. There are no trials, so the ceiling of the benchmark is the published one. The authors'
file was not at hand when this was written: the converter was tested on made-up files of this form.
"""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cornet.brain.data.convert.base import Block, Options, converter
from cornet.brain.data.convert.sources.hdf5_source import rows_that_fit
from cornet.brain.data.convert.sources.images import FolderImages
from cornet.brain.data.convert.sources.named_array import SUFFIXES, NamedArray
from cornet.brain.data.map_bundle import MAP_BY
from cornet.errors import CornetError

__all__ = ["Arcaro2020", "open_arcaro2020"]

ARRAY = "imageRF"
EXPECTED = "imageRF of (y, x, ms, channel, image) of Arcaro, Ponce & Livingstone 2020"
PICTURES = (".jpg", ".jpeg", ".png", ".bmp", ".gif", ".tif", ".tiff", ".webp")
POSTERIOR = 33
"""Channels of George's posterior array, which come first."""

EARLY, LATE = (90, 130), (130, 170)
ANIMALS: Mapping[tuple[int, int], tuple[str, tuple[tuple[str, int | None, tuple[int, int]], ...]]] = {
    (17, 17): ("George", (("IT-PL", POSTERIOR, EARLY), ("IT-ML", None, LATE))),
    (9, 9): ("Red", (("IT", None, EARLY),)),
}
"""{grid: (animal, parts)}; a part has a region, its number of channels (None: the rest), and its window in ms."""


@converter(
    "arcaro2020",
    summary="macaque IT: maps of activity of 14 images at 17 x 17 or 9 x 9 positions, 2 monkeys (one file for each)",
    files="the file of one animal with the array imageRF (.npy, .npz or .mat); images: a folder with the 14 images, "
    "whose names sort in the order of the array",
    licence="ask the authors",
    access="a public bucket of the authors of Linsley et al. 2023, named in the README of the repository",
    address="https://github.com/serre-lab/neural_harmonizer",
    citation="Arcaro, Ponce & Livingstone 2020 (eLife 9, e53798)",
)
def open_arcaro2020(options: Options) -> "Arcaro2020":
    """Open the file of one animal, or the only one in a folder."""
    path = options.path
    if path.is_dir():
        found = sorted(one for one in path.iterdir() if one.suffix in SUFFIXES)
        if len(found) != 1:
            names = ", ".join(one.name for one in found) or "none"
            raise CornetError(
                f"{path} has {len(found)} files {', '.join(SUFFIXES)} ({names}), but a bundle is of one animal; name "
                "one file."
            )
        path = found[0]
    if path.suffix not in SUFFIXES:
        raise CornetError(f"{path} is not a file {', '.join(SUFFIXES)}; expected {EXPECTED}.")
    return Arcaro2020(path, options.images, options.degrees)


class Arcaro2020:
    """Implements `cornet.brain.data.convert.base.Recording`."""

    late: Sequence[str] = ()

    def __init__(self, path: Path, images: Path | None, degrees: float | None) -> None:
        self.array = NamedArray(path, ARRAY, 5, EXPECTED)
        height, width, times, channels, shown = self.array.shape
        if (height, width) not in ANIMALS:
            known = " or ".join(f"{y} x {x}" for y, x in ANIMALS)
            raise CornetError(
                f"{path} has {ARRAY} with {height} x {width} positions, but the animals have {known}; check the order "
                "of the axes, which must be y, x, ms, channel, image."
            )
        animal, parts = ANIMALS[height, width]
        self.paths, self.name = [path], f"arcaro2020-{animal.lower()}"
        self.dtype = np.dtype(np.float32 if self.array.dtype == np.float32 else np.float64)
        self.parts: list[tuple[range, tuple[int, int]]] = []
        regions: list[str] = []
        for region, count, window in parts:
            first = len(regions)
            last = channels if count is None else first + count
            if last > channels or last == first or window[1] > times:
                raise CornetError(
                    f"{path} has {ARRAY} with {channels} channels and {times} ms, but {animal} needs more than {first} "
                    f"channels and at least {window[1]} ms; check the order of the axes."
                )
            regions += [region] * (last - first)
            self.parts.append((range(first, last), window))
        windows = np.concatenate([np.tile(window, (len(own), 1)) for own, window in self.parts])
        self.time_bins = ((float(windows[:, 0].min()), float(windows[:, 1].max())),)
        self.neuroids = pd.DataFrame(
            {
                "neuroid_id": np.arange(channels),
                "region": regions,
                "subject": animal,
                "window_start": windows[:, 0],
                "window_end": windows[:, 1],
            }
        )
        names = _image_names(images, shown, path)
        self.images = FolderImages(images or Path(), names)
        self.stimuli = pd.DataFrame({"stimulus_id": [Path(name).stem for name in names], "filename": names})
        if degrees:
            self.stimuli["degrees"] = degrees
        self.places, self.width = height * width, width
        image, y, x = np.unravel_index(np.arange(shown * self.places), (shown, height, width))
        self.presentations = pd.DataFrame(
            {
                "stimulus_id": self.stimuli["stimulus_id"].to_numpy()[image],
                "repetition": 0,
                MAP_BY[0]: y,
                MAP_BY[1]: x,
            }
        )
        self.rule = {"map_by": list(MAP_BY)}
        self.notes = [
            "windows: "
            + ", ".join(
                f"{one} {two[0]}-{two[1]} ms" for (one, _, _), (_, two) in zip(parts, self.parts, strict=True)
            ),
            "this converter was tested on made-up files only, as no published file was at hand: check the maps",
        ]

    def blocks(self, limit: int) -> Sequence[Block]:
        """One image at a time, for each part of the channels."""
        found = []
        for image in range(self.array.shape[4]):
            rows = np.arange(image * self.places, (image + 1) * self.places)
            found += [Block(rows, own, (image, window)) for own, window in self.parts]
        return found

    def read(self, block: Block, limit: int) -> tuple[NDArray[Any], Mapping[str, NDArray[Any]]]:
        image, (first, last) = block.source
        own = slice(block.columns.start, block.columns.stop)
        # A row of positions at a time, so that a long recording fits.
        row = self.width * (last - first) * len(block.columns) * 8
        step = rows_that_fit(limit // 2, row, f"a row of positions of {self.array.path}")
        parts = []
        for top in range(0, self.array.shape[0], step):
            index = (slice(top, top + step), slice(None), slice(first, last), own, image)
            parts.append(self.array.read(index, limit).mean(axis=2, dtype=np.float64))
        maps = np.concatenate(parts)[::-1, ::-1]
        return maps.reshape(self.places, len(block.columns), 1).astype(self.dtype), {}


def _image_names(folder: Path | None, shown: int, path: Path) -> list[str]:
    """Return the names of the images in natural order. Raises CornetError if their number is another."""
    if folder is None or not folder.is_dir():
        raise CornetError(
            f"the images are missing: give the folder with the {shown} images of {path} as --images."
        )
    found = [one.name for one in folder.iterdir() if one.suffix.lower() in PICTURES]
    if len(found) != shown:
        raise CornetError(
            f"{folder} has {len(found)} images, but {path} has maps of {shown}; give the folder with exactly these."
        )
    return sorted(
        found, key=lambda name: [int(part) if part.isdigit() else part for part in re.split(r"(\d+)", name)]
    )

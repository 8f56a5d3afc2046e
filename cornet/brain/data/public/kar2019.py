"""Object solution times: reading dataset.h5 of Kar et al. (2019).

| dataset | in MATLAB | in HDF5 | what |
|---|---|---|---|
| images | 256 x 256 x 3 x 1320 (y, x, channel, image) | 1320 x 3 x 256 x 256 (image, channel, x, y) | float64 |
| obj | 1320 x 1 | 1 x 1320 | number of the object, 1 to 10 |
| i1 | 1320 x 1 | 1 x 1320 | d' of the monkeys' choices, per image |
| ost | 1320 x 1 | 1 x 1320 | ms after onset at which IT's decode reaches it; NaN where it never does |

HDF5 shows MATLAB's axes reversed, so pictures are transposed here, as in Brain-Score. Also read: axes as MATLAB names
them, one-dimensional columns, whole numbers, and values from 0 to 1 instead of 0 to 255.
"""

import hashlib
import os
from collections import defaultdict
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cornet.brain.cache import file_state
from cornet.brain.data.columns import check_one_value
from cornet.brain.data.hdf5 import elsewhere, large_piece
from cornet.brain.data.public.fetching import require
from cornet.errors import CornetError
from cornet.stimuli.stimulus_set import StimulusSet

__all__ = ["OBJECTS", "SolutionTimeData", "load_kar2019", "problem"]

OBJECTS = ("bear", "elephant", "person", "car", "dog", "apple", "chair", "plane", "bird", "zebra")
"""Names of the objects 1 to 10, from the authors' page."""

IMAGES = 1320
DIFFERENT = 1318
SHAPE = (IMAGES, 3, 256, 256)
DEGREES = 8.0

MOST_ALIKE = 100
"""Images that may look alike by a few lines: each is then compared as a whole."""

OVERSHOOT = 32.0
"""Grey levels by which resampled pictures may lie outside 0 to 255; they are clipped."""

PROBE = 64
"""Every so many lines of a picture one is compared, before whole pictures are, to find those that occur twice."""


@dataclass(frozen=True, eq=False)
class SolutionTimeData:
    """Images with the time at which monkey IT solves each.

    stimuli: without the images that occur twice; ids kar2019-0000 ... by place in the file. Columns stimulus_id,
        object_name, image_number (place in the file).
    labels: (stimulus,) object names. i1: (stimulus,) d', float64. ost: (stimulus,) ms after onset, float64, NaN where
        there is none.
    notes: sentences about what was found otherwise than published.
    """

    stimuli: StimulusSet
    labels: NDArray[np.str_]
    i1: NDArray[np.float64]
    ost: NDArray[np.float64]
    notes: tuple[str, ...] = ()


def load_kar2019(path: str | os.PathLike[str] | None = None) -> SolutionTimeData:
    """Read the solution times; the images are read when they are asked for.

    path: of dataset.h5; None for the place where `cornet fetch kar2019` puts it.

    Raises CornetError where the file is not there, is cut off or is none of the forms above.
    """
    if path is None:
        path = require("kar2019") / "dataset.h5"
    path = Path(path).expanduser().absolute()
    if wrong := problem(path):
        raise CornetError(f"{path} {wrong}.")
    try:
        with h5py.File(path, "r") as file:
            labels, i1, ost = _labels(file["obj"]), _numbers(file["i1"]), _numbers(file["ost"])
            images = _Images(file["images"])
            probes = images.probes()
            kept = _first_of_each(probes, images, labels)
            scale = 255.0 if images.unit_range(probes) else 1.0
    except OSError as error:
        raise _unreadable(path, error) from None
    notes = []
    if again := IMAGES - len(kept):
        notes.append(
            f"{again} of {IMAGES:,} images repeat another one and are left out, with their i1 and times"
        )
    if len(kept) != DIFFERENT:
        notes.append(f"{len(kept):,} different images are in {path.name}, where {DIFFERENT:,} were published")
    table = pd.DataFrame(
        {
            "stimulus_id": [f"kar2019-{number:04d}" for number in kept],
            "object_name": labels[kept],
            "image_number": kept,
        }
    )
    pictures = KarPictures(path, kept, scale)
    stimuli = StimulusSet(name="kar2019", table=table, pictures=pictures, degrees=DEGREES)
    return SolutionTimeData(stimuli, labels[kept], i1[kept], ost[kept], tuple(notes))


def problem(path: Path) -> str:
    """What is wrong with a file that should be dataset.h5, as words that follow its path; "" where it is right."""
    again = "fetch it again"
    try:
        with h5py.File(path, "r", locking=False) as file:  # what `NewFile` writes is locked
            if told := elsewhere(file):
                return f"{told}; {again}"
            for name in ("images", "obj", "i1", "ost"):
                if not isinstance(file.get(name), h5py.Dataset):
                    return f"has no dataset /{name} but {', '.join(file) or 'nothing'}; {again}"
            images = file["images"]
            if images.shape not in (SHAPE, SHAPE[::-1]) or images.dtype.kind not in "uif":
                return (
                    f"has /images of {_form(images)}, not numbers of {_sizes(SHAPE)}, or the reverse; {again}"
                )
            for name in ("obj", "i1", "ost"):
                column = file[name]
                if column.shape not in ((IMAGES,), (IMAGES, 1), (1, IMAGES)):
                    return f"has /{name} of {_form(column)}, not one value for each of {IMAGES:,} images; {again}"
                if name != "obj" and column.dtype.kind not in "uif":
                    return f"has /{name} of {_form(column)}, not numbers; {again}"
            if file["obj"].dtype.kind not in "uifS" and h5py.check_string_dtype(file["obj"].dtype) is None:
                return f"has /obj of {_form(file['obj'])}, not numbers or text; {again}"
            if told := large_piece(file):
                return f"{told}; {again}"
    except Exception as error:  # damage makes h5py fail in any way
        if isinstance(error, FileNotFoundError):
            return "does not exist; run `cornet fetch kar2019`"
        reason = " ".join(str(error).split())
        return f"is cut off, damaged or no HDF5 file ({reason}); {again}"
    return ""


class KarPictures:
    """The pictures of dataset.h5 at these places, in this order: `cornet.stimuli.stimulus_set.Pictures`.

    scale: what a value is multiplied with to lie between 0 and 255.

    The file is opened for each picture, so that forked and other processes may read too. Where the image is the last
    axis, one picture is spread over the whole file: the first one asked for brings all into memory (260 MB).
    """

    def __init__(self, path: Path, places: NDArray[np.int64], scale: float) -> None:
        self.path, self.places, self.scale = path, places, scale
        self._state = file_state(path)

    def __len__(self) -> int:
        return len(self.places)

    def __getitem__(self, index: int) -> NDArray[np.uint8]:
        """(y, x, 3) RGB uint8. Raises CornetError for values that are none of a picture."""
        place = int(self.places[index])
        try:
            if file_state(self.path) != self._state:
                raise CornetError(f"{self.path} was changed while it was in use; load it again.")
            with h5py.File(self.path, "r") as file:
                images = _Images(file["images"])
                if images.last:
                    return np.array(self._all[place])
                return np.ascontiguousarray(self._pixels(images.picture(place), f"image {place}"))
        except OSError as error:
            raise _unreadable(self.path, error) from None

    @cached_property
    def identity(self) -> str:
        """SHA-256 over the pictures as they are shown; it needs all of them read."""
        digest = hashlib.sha256()
        for index in range(len(self)):
            digest.update(self[index].tobytes())
        return digest.hexdigest()

    def __getstate__(self) -> dict[str, Any]:
        return {key: value for key, value in self.__dict__.items() if key != "_all"}

    @cached_property
    def _all(self) -> NDArray[np.uint8]:
        """(image, y, x, channel) of a file in which the image is the last axis, read a few lines at a time."""
        pixels = np.empty((IMAGES, *SHAPE[:1:-1], 3), np.uint8)
        with h5py.File(self.path, "r") as file:
            for y in range(0, pixels.shape[1], 8):
                lines = self._pixels(file["images"][y : y + 8], f"lines {y} to {y + 7} of the images")
                pixels[:, y : y + 8] = lines.transpose(3, 0, 1, 2)
        return pixels

    def _pixels(self, values: NDArray[Any], what: str) -> NDArray[np.uint8]:
        if values.dtype == np.uint8 and self.scale == 1:
            return values
        levels = np.asarray(values, float) * self.scale
        low, high = float(levels.min()), float(levels.max())  # NaN where one is
        if not (low > -OVERSHOOT and high < 255 + OVERSHOOT):
            raise CornetError(
                f"{what} of {self.path} has values from {values.min()} to {values.max()}, but they must lie between 0 "
                f"and {255 / self.scale:g}; fetch the file again."
            )
        return np.rint(levels).clip(0, 255).astype(np.uint8)


class _Images:
    """The open dataset of images, whichever way its axes run."""

    def __init__(self, dataset: Any) -> None:
        self.dataset = dataset
        self.last = dataset.shape == SHAPE[::-1]

    def picture(self, place: int) -> NDArray[Any]:
        """(y, x, channel), in the file's values."""
        return self.dataset[:, :, :, place] if self.last else self.dataset[place].T

    def probes(self) -> NDArray[Any]:
        """(image, value): a few lines of every picture's green."""
        if self.last:
            lines = np.stack([self.dataset[y, :, 1] for y in range(0, SHAPE[-1], PROBE)])
            return lines.reshape(-1, IMAGES).T
        return np.asarray(self.dataset[:, 1, ::PROBE]).reshape(IMAGES, -1)

    def unit_range(self, probes: NDArray[Any]) -> bool:
        """Whether the values run from 0 to 1 (resampling may overshoot) and not to 255."""
        return self.dataset.dtype.kind == "f" and not (probes > 1.5).any()


def _first_of_each(probes: NDArray[Any], images: _Images, labels: NDArray[np.str_]) -> NDArray[np.int64]:
    """Places of the images, without those that are the same to the pixel as an earlier one. Raises CornetError where
    those two show different objects."""
    alike = defaultdict(list)
    for place, probe in enumerate(probes):
        alike[hashlib.sha256(probe.tobytes()).digest()].append(place)
    if max(map(len, alike.values())) > MOST_ALIKE:
        raise CornetError(
            f"{max(map(len, alike.values())):,} of the {IMAGES:,} images in {images.dataset.file.filename} look the "
            "same, where at most two do in what was published; fetch the file again."
        )
    same_as = np.arange(IMAGES)
    for places in alike.values():
        contents: dict[bytes, int] = {}
        for place in places if len(places) > 1 else ():
            content = hashlib.sha256(images.picture(place).tobytes()).digest()
            same_as[place] = contents.setdefault(content, place)
    names = [f"image {place}" for place in same_as]
    check_one_value(names, labels, "the object", images.dataset.file.filename)
    return np.flatnonzero(same_as == np.arange(IMAGES))


def _labels(column: Any) -> NDArray[np.str_]:
    """Object names; numbers from 1 to 10 get theirs, and others stay as they are."""
    values = column[()].ravel()
    if values.dtype.kind in "SO":
        return np.array([v.decode(errors="replace") if isinstance(v, bytes) else str(v) for v in values])
    if not np.isin(values, range(1, len(OBJECTS) + 1)).all():
        return np.array([f"{value:g}" for value in values])
    return np.array(OBJECTS)[values.astype(int) - 1]


def _unreadable(path: Path, error: OSError) -> CornetError:
    return CornetError(f"{path} cannot be read ({' '.join(str(error).split())}); fetch it again.")


def _numbers(column: Any) -> NDArray[np.float64]:
    return column[()].ravel().astype(np.float64)


def _sizes(shape: tuple[int, ...]) -> str:
    return " x ".join(map(str, shape)) or "no axes"


def _form(dataset: Any) -> str:
    return f"{dataset.dtype} {_sizes(dataset.shape)}"

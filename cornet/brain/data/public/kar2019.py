"""Read the object solution times of Kar et al. (2019) from dataset.h5.

| dataset | in MATLAB | in HDF5 | content |
|---|---|---|---|
| images | 256 x 256 x 3 x 1320 (y, x, channel, image) | 1320 x 3 x 256 x 256 (image, channel, x, y) | float64 |
| obj | 1320 x 1 | 1 x 1320 | number of the object, 1 to 10 |
| i1 | 1320 x 1 | 1 x 1320 | d' of the monkeys' choices, per image |
| ost | 1320 x 1 | 1 x 1320 | ms after onset at which decoding from IT reaches i1; NaN if never |

HDF5 reverses MATLAB's axes, so images are transposed here, as in Brain-Score. Also supported: MATLAB's order of axes,
one-dimensional columns, integers, and values from 0 to 1 instead of 0 to 255.
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
from cornet.brain.data.files.hdf5 import chunk_problem, link_problem
from cornet.brain.data.public.fetching import require
from cornet.errors import CornetError
from cornet.stimuli.stimulus_set import StimulusSet

__all__ = ["OBJECTS", "SolutionTimeData", "load_kar2019", "problem"]

OBJECTS = ("bear", "elephant", "person", "car", "dog", "apple", "chair", "plane", "bird", "zebra")
"""Names of the objects 1 to 10, from the authors' page."""

IMAGES = 1320
UNIQUE_IMAGES = 1318
SHAPE = (IMAGES, 3, 256, 256)
DEGREES = 8.0

MAX_EQUAL_PROBES = 100
"""Maximum images with equal probes (see PROBE_STEP); these are compared in full."""

OVERSHOOT = 32.0
"""Grey levels by which resampled images may exceed 0 to 255; they are clipped."""

PROBE_STEP = 64
"""Every PROBE_STEP-th line of an image is compared first, to find candidates for duplicates."""


@dataclass(frozen=True, eq=False)
class SolutionTimeData:
    """Images with their object solution times in monkey IT.

    stimuli: without duplicate images; ids kar2019-0000 ... by position in the file. Columns stimulus_id, object_name,
        image_number (position in the file).
    labels: (stimulus,) object names. i1: (stimulus,) d', float64. ost: (stimulus,) ms after onset, float64, NaN where
        the image is never solved.
    notes: sentences about differences from the published data.
    """

    stimuli: StimulusSet
    labels: NDArray[np.str_]
    i1: NDArray[np.float64]
    ost: NDArray[np.float64]
    notes: tuple[str, ...] = ()


def load_kar2019(path: str | os.PathLike[str] | None = None) -> SolutionTimeData:
    """Read the solution times. Images are read on first use.

    path: path of dataset.h5; None for the one that `cornet fetch kar2019` creates.

    Raises CornetError if the file is missing, truncated, or has none of the supported layouts.
    """
    if path is None:
        path = require("kar2019") / "dataset.h5"
    path = Path(path).expanduser().absolute()
    if wrong := problem(path):
        raise CornetError(f"{path} {wrong}; fetch it with `cornet fetch kar2019`.")
    try:
        with h5py.File(path, "r") as file:
            labels, i1, ost = _labels(file["obj"]), _numbers(file["i1"]), _numbers(file["ost"])
            images = _Images(file["images"])
            probes = images.probes()
            unique = _unique_images(probes, images, labels)
            scale = 255.0 if images.unit_range(probes) else 1.0
    except OSError as error:
        raise _unreadable(path, error) from None
    notes = []
    if duplicates := IMAGES - len(unique):
        notes.append(
            f"skipped {duplicates} of {IMAGES:,} images that are duplicates, with their i1 and times"
        )
    if len(unique) != UNIQUE_IMAGES:
        notes.append(f"{path.name} has {len(unique):,} unique images, but {UNIQUE_IMAGES:,} were published")
    table = pd.DataFrame(
        {
            "stimulus_id": [f"kar2019-{number:04d}" for number in unique],
            "object_name": labels[unique],
            "image_number": unique,
        }
    )
    pictures = KarPictures(path, unique, scale)
    stimuli = StimulusSet(name="kar2019", table=table, pictures=pictures, degrees=DEGREES)
    return SolutionTimeData(stimuli, labels[unique], i1[unique], ost[unique], tuple(notes))


def problem(path: Path) -> str:
    """Return what is wrong with a dataset.h5, as text to follow its path, or ""."""
    try:
        with h5py.File(path, "r", locking=False) as file:  # `NewFile` locks the file while writing
            if reason := link_problem(file):
                return reason
            for name in ("images", "obj", "i1", "ost"):
                if not isinstance(file.get(name), h5py.Dataset):
                    return f"has no dataset /{name}, only {', '.join(file) or 'nothing'}"
            images = file["images"]
            if images.shape not in (SHAPE, SHAPE[::-1]) or images.dtype.kind not in "uif":
                return f"has /images of {_describe(images)}, not numbers {_shape_text(SHAPE)} or reversed"
            for name in ("obj", "i1", "ost"):
                column = file[name]
                if column.shape not in ((IMAGES,), (IMAGES, 1), (1, IMAGES)):
                    return f"has /{name} of {_describe(column)}, not one value per image ({IMAGES:,})"
                if name != "obj" and column.dtype.kind not in "uif":
                    return f"has /{name} of {_describe(column)}, not numbers"
            if file["obj"].dtype.kind not in "uifS" and h5py.check_string_dtype(file["obj"].dtype) is None:
                return f"has /obj of {_describe(file['obj'])}, not numbers or text"
            if reason := chunk_problem(file):
                return reason
    except Exception as error:  # damaged files make h5py raise anything
        if isinstance(error, FileNotFoundError):
            return "does not exist"
        reason = " ".join(str(error).split())
        return f"is truncated, damaged or not an HDF5 file ({reason})"
    return ""


class KarPictures:
    """The images of dataset.h5 at the given positions, in order. Implements `cornet.stimuli.stimulus_set.Pictures`.

    scale: factor that maps values to 0 to 255.

    The file is opened for each image, so that other and forked processes can read too. If the image is the last axis,
    each image is spread over the whole file, and the first access loads all of them into memory (260 MB).
    """

    def __init__(self, path: Path, positions: NDArray[np.int64], scale: float) -> None:
        self.path, self.positions, self.scale = path, positions, scale
        self._state = file_state(path)

    def __len__(self) -> int:
        return len(self.positions)

    def __getitem__(self, index: int) -> NDArray[np.uint8]:
        """Return one image, (y, x, 3) RGB uint8. Raises CornetError for values outside the range of an image."""
        position = int(self.positions[index])
        try:
            if file_state(self.path) != self._state:
                raise CornetError(f"{self.path} changed while it was in use; load it again.")
            with h5py.File(self.path, "r") as file:
                images = _Images(file["images"])
                if images.last:
                    return np.array(self._all[position])
                return np.ascontiguousarray(self._pixels(images.picture(position), f"image {position}"))
        except OSError as error:
            raise _unreadable(self.path, error) from None

    @cached_property
    def identity(self) -> str:
        """SHA-256 of the decoded images; reads all of them."""
        digest = hashlib.sha256()
        for index in range(len(self)):
            digest.update(self[index].tobytes())
        return digest.hexdigest()

    def __getstate__(self) -> dict[str, Any]:
        return {key: value for key, value in self.__dict__.items() if key != "_all"}

    @cached_property
    def _all(self) -> NDArray[np.uint8]:
        """All images, (image, y, x, channel), of a file with the image as last axis; read a few lines at a time."""
        pixels = np.empty((IMAGES, *SHAPE[:1:-1], 3), np.uint8)
        with h5py.File(self.path, "r") as file:
            for y in range(0, pixels.shape[1], 8):
                lines = self._pixels(file["images"][y : y + 8], f"lines {y} to {y + 7} of the images")
                pixels[:, y : y + 8] = lines.transpose(3, 0, 1, 2)
        return pixels

    def _pixels(self, values: NDArray[Any], what: str) -> NDArray[np.uint8]:
        """Convert values to uint8. Raises CornetError for values outside the range. what: for the message."""
        if values.dtype == np.uint8 and self.scale == 1:
            return values
        levels = np.asarray(values, float) * self.scale
        low, high = float(levels.min()), float(levels.max())  # NaN if any value is NaN
        if not (low > -OVERSHOOT and high < 255 + OVERSHOOT):
            raise CornetError(
                f"{what} of {self.path} has values from {values.min()} to {values.max()}, but they must be between 0 "
                f"and {255 / self.scale:g}; fetch the file again."
            )
        return np.rint(levels).clip(0, 255).astype(np.uint8)


class _Images:
    """The open dataset of images, for either order of axes."""

    def __init__(self, dataset: Any) -> None:
        self.dataset = dataset
        self.last = dataset.shape == SHAPE[::-1]

    def picture(self, position: int) -> NDArray[Any]:
        """Return one image, (y, x, channel), without conversion."""
        return self.dataset[:, :, :, position] if self.last else self.dataset[position].T

    def probes(self) -> NDArray[Any]:
        """Return every PROBE_STEP-th line of each image's green channel, (image, value)."""
        if self.last:
            lines = np.stack([self.dataset[y, :, 1] for y in range(0, SHAPE[-1], PROBE_STEP)])
            return lines.reshape(-1, IMAGES).T
        return np.asarray(self.dataset[:, 1, ::PROBE_STEP]).reshape(IMAGES, -1)

    def unit_range(self, probes: NDArray[Any]) -> bool:
        """Return whether the values range from 0 to 1 (resampling may overshoot) instead of 255."""
        return self.dataset.dtype.kind == "f" and not (probes > 1.5).any()


def _unique_images(probes: NDArray[Any], images: _Images, labels: NDArray[np.str_]) -> NDArray[np.int64]:
    """Return the positions of the images that are not identical to an earlier one. Raises CornetError if duplicates
    have different labels."""
    by_probe = defaultdict(list)
    for position, probe in enumerate(probes):
        by_probe[hashlib.sha256(probe.tobytes()).digest()].append(position)
    if max(map(len, by_probe.values())) > MAX_EQUAL_PROBES:
        raise CornetError(
            f"{max(map(len, by_probe.values())):,} of the {IMAGES:,} images in {images.dataset.file.filename} look the "
            "same, but at most two are identical in the published file; fetch it again."
        )
    same_as = np.arange(IMAGES)
    for positions in by_probe.values():
        contents: dict[bytes, int] = {}
        for position in positions if len(positions) > 1 else ():
            content = hashlib.sha256(images.picture(position).tobytes()).digest()
            same_as[position] = contents.setdefault(content, position)
    names = [f"image {position}" for position in same_as]
    check_one_value(names, labels, "the object", images.dataset.file.filename)
    return np.flatnonzero(same_as == np.arange(IMAGES))


def _labels(column: Any) -> NDArray[np.str_]:
    """Return the object names. Numbers from 1 to 10 are replaced by names; other labels stay unchanged."""
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


def _shape_text(shape: tuple[int, ...]) -> str:
    return " x ".join(map(str, shape)) or "no axes"


def _describe(dataset: Any) -> str:
    return f"{dataset.dtype} {_shape_text(dataset.shape)}"

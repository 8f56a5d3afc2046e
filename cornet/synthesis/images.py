"""Images to synthesise from or to look at: files, folders, stimuli of a bundle, or rendered objects.

photo.png                  one file
my-folder                  its images; or those of its class folders, whose names are then the labels
my-bundle                  all stimuli of a bundle; my-bundle:s01,s07 for some of them, by stimulus_id
objects:16                 rendered objects, so that everything runs without data (objects: 16 of them)
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from cornet.brain.data.files.stimulus_files import load_stimuli
from cornet.errors import CornetError
from cornet.names import composed, escaped, left_behind
from cornet.opening import read_bytes
from cornet.stimuli.decode import BadImage, decode_image
from cornet.stimuli.geometry import center_view
from cornet.stimuli.objects import CATEGORIES, RenderedObjects

__all__ = ["OBJECTS", "Shown", "Source", "fitted", "joined", "open_images", "open_source"]

OBJECTS = "objects"
DEFAULT_OBJECTS = 16
MAX_OBJECTS = 100_000
MAX_RATIO = 16
"""Largest ratio of an image's long to its short side, and of the input's side to the short side."""

LABELS = ("category_name", "label", "object_name")
"""Columns of a bundle's stimuli that may name the class of an image, in this order."""

Pixels = NDArray[np.uint8]


@dataclass(frozen=True, eq=False)
class Source:
    """Images that are read when they are needed.

    name: for messages and pages. names, labels: of each image; a label is "" if unknown. read: position to pixels
    (y, x, 3) uint8. simulated: the images are rendered.
    """

    name: str
    names: list[str]
    labels: list[str]
    read: Callable[[int], Pixels] = field(repr=False)
    simulated: bool = False

    def __len__(self) -> int:
        return len(self.names)

    def pixels(self, places: Sequence[int], size: int) -> Tensor:
        """The images at these positions, (image, 3, size, size) uint8; see `fitted`."""
        return torch.stack([fitted(self.read(place), self.names[place], size) for place in places])


@dataclass(frozen=True, eq=False)
class Shown:
    """Images in memory. names, labels: as in `Source`. pixels: (image, 3, size, size) uint8. notes: what was
    changed."""

    names: list[str]
    labels: list[str]
    pixels: Tensor = field(repr=False)
    notes: list[str]
    simulated: bool = False

    @property
    def scaled(self) -> Tensor:
        """The images in 0..1, (image, 3, size, size) float32."""
        return self.pixels.float() / 255


def open_images(words: Sequence[str], size: int, most: int | None = None) -> Shown:
    """Read all images that the words name, at `size` pixels per side. most: at most this number, from the start.

    Images of another size are resized (the short side to `size`, then the centre is cut out), which a note says.
    Raises CornetError for words that name no images, and for files that cannot be read.
    """
    if not words:
        raise CornetError(
            "--image is missing; name files, a folder or a bundle, or objects:16 for rendered objects."
        )
    names: list[str] = []
    labels: list[str] = []
    pictures: list[Tensor] = []
    resized = cut = 0
    sources = [open_source(word, size) for word in words]
    for source in sources:
        for place in range(len(source)):
            if most is not None and len(pictures) == most:
                break
            image = source.read(place)
            resized += image.shape[:2] != (size, size)
            cut += image.shape[0] != image.shape[1]
            pictures.append(fitted(image, source.names[place], size))
            names.append(source.names[place])
            labels.append(source.labels[place])
    notes = []
    if resized:
        also = f", {cut} of them after cutting out their central square" if cut else ""
        notes.append(f"{resized} of {len(pictures)} images resized to {size} x {size} pixels{also}")
    total = sum(map(len, sources))
    if total > len(pictures):
        notes.append(f"the first {len(pictures)} of {total} images")
    simulated = all(source.simulated for source in sources)
    return Shown(names, labels, torch.stack(pictures), notes, simulated)


def open_source(word: str, size: int) -> Source:
    """Open what one word names; nothing is decoded yet. size: of rendered objects, in pixels per side."""
    kind, _, rest = word.partition(":")
    path = Path(word).expanduser()
    if kind == OBJECTS and not path.exists():
        return _objects(word, rest, size)
    if path.is_file():
        return Source(escaped(path.name), [escaped(path.name)], [""], lambda place: _decoded(path))
    folder, ids = path, ""
    if not path.exists() and ":" in word:
        head, _, ids = word.rpartition(":")
        folder = Path(head).expanduser()
    if not folder.is_dir():
        raise CornetError(
            f"{word} does not exist; give image files, a folder with images, a bundle, or objects:16 for rendered "
            f"objects."
        )
    if any(folder.glob("stimulus_*.csv")) or any(folder.glob("image_*.csv")):
        return _bundle(folder, ids)
    if ids:
        raise CornetError(
            f"{folder} has no stimulus_set.csv, so {ids} names no stimulus; give the folder alone."
        )
    return _folder(folder)


def joined(sources: Sequence[Source]) -> Source:
    """The images of several sources, one after the other."""
    if len(sources) == 1:
        return sources[0]
    places = [(source, place) for source in sources for place in range(len(source))]
    return Source(
        ", ".join(source.name for source in sources),
        [name for source in sources for name in source.names],
        [label for source in sources for label in source.labels],
        lambda place: places[place][0].read(places[place][1]),
        all(source.simulated for source in sources),
    )


def fitted(image: Pixels, name: str, size: int) -> Tensor:
    """An image (y, x, 3) as (3, size, size) uint8: the short side is resized to `size`, and the centre is cut out.

    Raises CornetError for an image so small or narrow that hardly anything of it would be shown.
    """
    short, long = sorted(image.shape[:2])
    if long > MAX_RATIO * short or size > MAX_RATIO * short:
        raise CornetError(
            f"{name} has {image.shape[1]} x {image.shape[0]} pixels, which cannot be shown at {size} x {size}: the "
            f"short "
            f"side must have at least {max(math.ceil(size / MAX_RATIO), math.ceil(long / MAX_RATIO))}; give a larger "
            "or squarer image."
        )
    return center_view(np.ascontiguousarray(image), size, size)


def _decoded(path: Path) -> Pixels:
    try:
        return decode_image(read_bytes(path))
    except BadImage as error:
        raise CornetError(
            f"the image {escaped(str(path))} cannot be used: {error}; give another file."
        ) from None


def _objects(word: str, count: str, size: int) -> Source:
    number = int(count) if count.isdigit() else DEFAULT_OBJECTS if not count else 0
    if not 1 <= number <= MAX_OBJECTS:
        raise CornetError(
            f"{word} must be {OBJECTS}:N with N from 1 to {MAX_OBJECTS:,}, such as {OBJECTS}:16."
        )
    source = RenderedObjects(train_images=1, val_images=number, size=max(size, 16), cache=False)
    images: list[Pixels] = []

    def read(place: int) -> Pixels:
        if not images:  # rendered on first use
            images.extend(source.images("val"))
        return np.repeat(images[place][:, :, None], 3, axis=2)

    names = list(source.latents("val")["stimulus_id"].astype(str))
    labels = [CATEGORIES[place % len(CATEGORIES)] for place in range(number)]
    return Source(f"{number} rendered objects", names, labels, read, simulated=True)


def _bundle(folder: Path, ids: str) -> Source:
    stimuli = load_stimuli(folder)
    if ids:
        known = dict.fromkeys(stimuli.ids)
        wanted = [one for one in ids.split(",") if one]
        if unknown := [one for one in wanted if one not in known]:
            raise CornetError(
                f"{folder} has no stimulus {unknown[0]!r}; give ids of its {len(known)} stimuli, such as "
                f"{', '.join(list(known)[:3])}."
            )
        stimuli = stimuli.subset(stimuli.positions(wanted))
    column = next((name for name in LABELS if name in stimuli.table), None)
    labels = [""] * len(stimuli) if column is None else list(stimuli.table[column].fillna("").astype(str))
    return Source(stimuli.name, [escaped(one) for one in stimuli.ids], labels, stimuli.pictures.__getitem__)


def _folder(folder: Path) -> Source:
    """The image files of a folder, or of its folders, whose names are the labels."""
    paths = [path for path in sorted(folder.iterdir()) if not left_behind(path.name)]
    files = [path for path in paths if path.is_file()]
    labels = [""] * len(files)
    if not files:
        inside = [(path, one) for path in paths if path.is_dir() for one in sorted(path.iterdir())]
        chosen = [(path, one) for path, one in inside if one.is_file() and not left_behind(one.name)]
        files, labels = [one for _, one in chosen], [escaped(composed(path.name)) for path, _ in chosen]
    if not files:
        raise CornetError(f"the folder {folder} has no images; give a folder with image files.")
    readers = [partial(_decoded, path) for path in files]
    names = [escaped(str(path.relative_to(folder))) for path in files]
    return Source(escaped(folder.name), names, labels, lambda place: readers[place]())

"""Labelled images as stimuli: class folders, or the files of CIFAR, in a training and a test part."""

import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cornet.errors import CornetError
from cornet.names import escaped
from cornet.stimuli.datasets.cifar import READERS, Cifar
from cornet.stimuli.datasets.class_folders import ClassFolder, scan_splits
from cornet.stimuli.decode import BadImage, decode_image
from cornet.stimuli.stimulus_set import Pictures, StimulusSet

__all__ = ["LabelledImages", "labelled_images"]


@dataclass(frozen=True, eq=False)
class LabelledImages:
    """Images with a class each.

    stimuli: the training images and then the test images; columns label (class) and part (train or test).
    """

    stimuli: StimulusSet

    @property
    def labels(self) -> NDArray[np.str_]:
        """(stimulus,), the class of each image."""
        return self.stimuli.table["label"].to_numpy(str)

    def rows(self, part: str) -> NDArray[np.int64]:
        """Rows of the training images ("train") or of the test images ("test")."""
        return np.flatnonzero(self.stimuli.table["part"].to_numpy() == part)


def labelled_images(
    folder: str | os.PathLike[str], classes: Sequence[str] = (), cifar: str | None = None
) -> LabelledImages:
    """Open a folder with train/<class>/ and val/<class>/, or with the unpacked files of CIFAR-10 or CIFAR-100.

    classes: names of classes to use; none: all. cifar: "cifar10" or "cifar100", if the folder has both. Images that are
    not square are cropped to the square in their centre. Raises CornetError if the folder has neither, for an unknown
    class, and for fewer than two classes.
    """
    root = Path(folder).expanduser()
    found = [name for name, reader in READERS.items() if (root / reader.base_folder).is_dir()]
    pictures: Pictures
    if cifar or found:
        source = Cifar(root, name=cifar or found[0])
        parts = (source.train(), source.val())
        labels = [np.array(source.classes)[part.labels] for part in parts]
        pictures = ArrayPictures(np.concatenate([part.images for part in parts]))
    else:
        splits = scan_splits(root)
        labels = [np.repeat(np.array(split.classes), split.counts()) for split in splits]
        pictures = FolderPictures(splits)
    counts = list(map(len, labels))
    table = pd.DataFrame({"label": np.concatenate(labels), "part": np.repeat(["train", "test"], counts)})
    table.insert(0, "stimulus_id", [f"{part}{row}" for row, part in enumerate(table["part"])])
    stimuli = StimulusSet(escaped(root.name), table, pictures)
    if classes:
        known = sorted(set(table["label"]))
        unknown = [name for name in classes if name not in known]
        if unknown:
            raise CornetError(
                f"{root} has no class {unknown[0]!r}; it has {len(known)}, such as {', '.join(known[:5])}."
            )
        stimuli = stimuli.subset(np.flatnonzero(table["label"].isin(classes)))
    if stimuli.table["label"].nunique() < 2:
        raise CornetError(f"{root} has one class, but a read-out needs at least two; add images of others.")
    return LabelledImages(stimuli)


class FolderPictures:
    """The images of class folders, one part after the other. Implements `cornet.stimuli.stimulus_set.Pictures`."""

    def __init__(self, parts: Sequence[ClassFolder]) -> None:
        self.parts = tuple(parts)
        self._ends = np.cumsum([len(part) for part in parts])
        self._identity = ""

    @property
    def identity(self) -> str:
        if not self._identity:
            digest = hashlib.sha256()
            for part in self.parts:
                digest.update(part.listing())
                for index in range(len(part)):
                    digest.update(hashlib.sha256(part.read(index)).digest())
            self._identity = digest.hexdigest()
        return self._identity

    def __len__(self) -> int:
        return int(self._ends[-1])

    def __getitem__(self, index: int) -> NDArray[np.uint8]:
        """Return one image, (side, side, 3). Raises CornetError if it cannot be read or decoded."""
        which = int(np.searchsorted(self._ends, index, side="right"))
        part = self.parts[which]
        inside = index - (int(self._ends[which - 1]) if which else 0)
        try:
            image = decode_image(part.read(inside))
        except BadImage as error:
            raise CornetError(
                f"the image {escaped(part.path(inside))} cannot be used: {error}; replace or remove it."
            ) from None
        height, width = image.shape[:2]
        side = min(height, width)
        top, left = (height - side) // 2, (width - side) // 2
        return np.ascontiguousarray(image[top : top + side, left : left + side])


class ArrayPictures:
    """Images in memory, (image, 3, y, x). Implements `cornet.stimuli.stimulus_set.Pictures`."""

    def __init__(self, images: NDArray[np.uint8]) -> None:
        self.images = images
        self.identity = hashlib.sha256(np.ascontiguousarray(images).data).hexdigest()

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> NDArray[np.uint8]:
        return np.ascontiguousarray(self.images[index].transpose(1, 2, 0))

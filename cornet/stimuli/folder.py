"""Folders of images, one folder a class: which files there are, and of which class.

<folder>/train/<class>/*.jpg
<folder>/val/<class>/*.jpg          or val_in_folders/, or validation/
"""

import difflib
import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from cornet.errors import CornetError
from cornet.opening import open_regular
from cornet.stimuli.decode import BadImage

__all__ = ["EXTENSIONS", "ClassFolder", "scan_splits"]

EXTENSIONS = (".jpg", ".jpeg", ".png")
TRAIN = ("train",)
VAL = ("val_in_folders", "val", "validation")  # who has the first beside a flat `val` means the first


class ClassFolder:
    """The images of a split, in order of class and name.

    ImageNet's 1.28 million paths would be 150 MB of Python strings, which every loader process would come to
    copy as it counts references to them. Here they are one block of bytes (33 MB) that stays shared.
    """

    def __init__(self, root: Path, classes: list[str], names: list[list[bytes]]) -> None:
        """root: the split's folder. names: per class, paths relative to the class's folder, in order."""
        self.root = root
        self.classes = classes
        self._starts = np.cumsum([0, *map(len, names)])
        flat = [name for of_class in names for name in of_class]
        self._ends = np.cumsum(np.fromiter(map(len, flat), dtype=np.int64, count=len(flat)))
        self._block = b"".join(flat)

    def listing(self) -> bytes:
        """A hash of which files there are, of which class, in their order."""
        return hashlib.sha256(self._starts.tobytes() + self._ends.tobytes() + self._block).digest()

    def __len__(self) -> int:
        return len(self._ends)

    def label(self, index: int) -> int:
        """Class of an image."""
        return int(np.searchsorted(self._starts, index, side="right")) - 1

    def siblings(self, index: int) -> range:
        """Indices of all images of the same class."""
        label = self.label(index)
        return range(int(self._starts[label]), int(self._starts[label + 1]))

    def path(self, index: int) -> str:
        """Path of an image."""
        if not 0 <= index < len(self):
            raise IndexError(f"image {index} of {len(self)}")
        start = int(self._ends[index - 1]) if index else 0
        name = os.fsdecode(self._block[start : int(self._ends[index])])
        return os.path.join(self.root, self.classes[self.label(index)], name)

    def read(self, index: int) -> bytes:
        """The file of an image. Raises BadImage where it cannot be read."""
        try:
            with open_regular(self.path(index)) as file:
                return file.read()
        except OSError as error:
            raise BadImage(f"the file cannot be read ({error.strerror or error})") from None


def scan_splits(folder: str | os.PathLike[str]) -> tuple[ClassFolder, ClassFolder]:
    """Find the training and validation images below a folder.

    Hidden files and files without an image's extension are passed over; folders within a class belong to it;
    links are followed. Raises CornetError if a split is missing, not sorted into classes, has a class
    without images, or if the two have different classes.
    """
    root = Path(folder).expanduser()
    if not root.is_dir():
        raise CornetError(
            f"there is no folder {root}{_near(root.parent, [root.name])}; say where the images are"
        )
    try:
        train = _scan(_find(root, TRAIN))
        val = _scan(_find(root, VAL))
    except OSError as error:
        reason = error.strerror or str(error)
        raise CornetError(
            f"{os.fsdecode(error.filename)} cannot be read ({reason}): mend that, and start again"
        ) from None
    _check_same_classes(train, val)
    return train, val


def _find(root: Path, names: tuple[str, ...]) -> Path:
    for name in names:
        if (root / name).is_dir():
            return root / name
    wanted = " or ".join(f"{name}/" for name in names)
    raise CornetError(
        f"there is no {wanted} in {root}{_near(root, names)}; images must be in train/<class>/ and val/<class>/"
    )


def _near(folder: Path, names: tuple[str, ...] | list[str]) -> str:
    """Say which folders there have a name like the one looked for, if any."""
    try:
        there = sorted(entry.name for entry in os.scandir(folder) if entry.is_dir())
    except OSError:
        return ""
    lower = {name.lower(): name for name in there}
    close = {lower[match] for name in names for match in difflib.get_close_matches(name.lower(), lower)}
    return f" (but there is {', '.join(sorted(close))})" if close else ""


def _scan(split: Path) -> ClassFolder:
    with os.scandir(split) as entries:
        listed = list(entries)
    classes = sorted(entry.name for entry in listed if not entry.name.startswith(".") and entry.is_dir())
    if not classes:
        if any(_is_image(entry.name) for entry in listed):
            raise CornetError(
                f"the images of {split} lie side by side: they must be sorted into one folder per class, "
                f"{split}/<class>/, named as in train/"
            )
        raise CornetError(f"there are no class folders in {split}: put each class's images into one")
    names = [sorted(_images(os.fsencode(split / name))) for name in classes]
    empty = [name for name, found in zip(classes, names, strict=True) if not found]
    if empty:
        raise CornetError(
            f"{_some(empty)} in {split} {'has' if len(empty) == 1 else 'have'} no images "
            f"({', '.join(EXTENSIONS)}): add some, or remove the folder"
        )
    return ClassFolder(split, classes, names)


def _images(folder: bytes) -> Iterator[bytes]:
    """Paths, relative to `folder`, of the images in it and in the folders below."""
    skip = len(folder) + 1
    seen = set()  # folders, lest a link to a folder above be followed for ever
    waiting = [folder]
    while waiting:
        current = waiting.pop()
        where = os.stat(current)
        if (where.st_dev, where.st_ino) in seen:
            continue
        seen.add((where.st_dev, where.st_ino))
        with os.scandir(current) as entries:
            for entry in entries:
                if entry.name.startswith(b"."):
                    continue
                if entry.is_dir():
                    waiting.append(entry.path)
                elif _is_image(os.fsdecode(entry.name)):
                    yield entry.path[skip:]


def _is_image(name: str) -> bool:
    return name.lower().endswith(EXTENSIONS) and not name.startswith(".")


def _check_same_classes(train: ClassFolder, val: ClassFolder) -> None:
    if train.classes == val.classes:
        return
    if not set(train.classes) & set(val.classes):
        raise CornetError(
            f"{val.root} has none of the classes of {train.root} (it has {_some(val.classes)}): sort its images "
            f"into folders named as those of train/, such as {train.classes[0]}/"
        )
    for one, other in ((train, val), (val, train)):
        missing = sorted(set(one.classes) - set(other.classes))
        if missing:
            raise CornetError(
                f"{_some(missing)} of {one.root} {'is' if len(missing) == 1 else 'are'} missing in {other.root}: "
                "both must have the same classes; add or remove what differs"
            )


def _some(names: list[str]) -> str:
    """Class names for a message: the first five, and how many more."""
    more = f" and {len(names) - 5} more" if len(names) > 5 else ""
    return f"{'class' if len(names) == 1 else 'classes'} {', '.join(names[:5])}{more}"

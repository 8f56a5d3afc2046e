"""Scan folders of images with one folder per class.

<folder>/train/<class>/*.jpg
<folder>/val/<class>/*.jpg          or val_in_folders/, or validation/

Names may be any bytes. Temporary files (`left_behind`) are ignored; other files that are not images, and empty folders,
are skipped and counted in the log. Links are followed; each counts as an image of its own.
"""

import difflib
import hashlib
import logging
import os
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cornet.errors import CornetError
from cornet.names import composed, escaped, left_behind
from cornet.opening import read_bytes
from cornet.stimuli.datasets.left_out import (
    AGAIN,
    BOTH,
    EMPTY,
    LOOSE,
    LOST,
    SPECIAL,
    TWICE,
    describe_left_out,
    extension_of,
    kind_of,
)
from cornet.stimuli.decode import BadImage

__all__ = ["ByClass", "ClassFolder", "scan_splits"]

log = logging.getLogger("cornet")

EXTENSIONS = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff")
ENDINGS = tuple(map(os.fsencode, EXTENSIONS))
UNKNOWN = (0, 2**32 - 1)
"""Inode numbers from file systems without inodes (FUSE)."""
TRAIN = ("train",)
VAL = ("val_in_folders", "val", "validation")  # the first takes precedence over a flat `val`


class ByClass:
    """Images sorted by class. _starts: (class + 1,), index of each class's first image, and the number of images."""

    _starts: NDArray[np.int64]

    def label(self, index: int) -> int:
        """Class index of an image."""
        return int(np.searchsorted(self._starts, index, side="right")) - 1

    def siblings(self, index: int) -> range:
        """Indices of all images of the same class."""
        label = self.label(index)
        return range(int(self._starts[label]), int(self._starts[label + 1]))

    def counts(self) -> list[int]:
        """Number of images of each class."""
        return np.diff(self._starts).tolist()


class ClassFolder(ByClass):
    """The images of a split, sorted by class and name, as one block of bytes that worker processes share.

    ImageNet's 1.28 million paths take 33 MB this way, instead of 150 MB per process as Python strings.
    """

    def __init__(self, root: Path, found: dict[str, list[bytes]], classes: list[str]) -> None:
        """root: folder of the split. found: {class folder: sorted image paths relative to it}, in class order.
        classes: names of the classes."""
        self.root = root
        self.classes = classes
        self._folders = list(found)
        names = list(found.values())
        self._starts = np.cumsum([0, *map(len, names)])
        flat = [name for of_class in names for name in of_class]
        self._ends = np.cumsum(np.fromiter(map(len, flat), dtype=np.int64, count=len(flat)))
        self._block = b"".join(flat)

    def listing(self) -> bytes:
        """Hash of all paths and their classes, in order."""
        return hashlib.sha256(self._starts.tobytes() + self._ends.tobytes() + self._block).digest()

    def __len__(self) -> int:
        return len(self._ends)

    def path(self, index: int) -> str:
        """Path of an image."""
        if not 0 <= index < len(self):
            raise IndexError(f"image {index} of {len(self)}")
        start = int(self._ends[index - 1]) if index else 0
        name = os.fsdecode(self._block[start : int(self._ends[index])])
        return os.path.join(self.root, self._folders[self.label(index)], name)

    def read(self, index: int) -> bytes:
        """Read the file of an image. Raises BadImage if that fails."""
        try:
            return read_bytes(self.path(index))
        except OSError as error:
            raise BadImage(f"the file cannot be read ({error.strerror or error})") from None


def scan_splits(folder: str | os.PathLike[str]) -> tuple[ClassFolder, ClassFolder]:
    """Find the training and validation images below a folder, and log skipped and duplicate files.

    Files with an image extension are images; subfolders belong to their class. Class names come from train/; names in
    val/ that differ only in Unicode normalisation (NFC, NFD) are the same class. Raises CornetError if a split is
    missing, is not sorted into classes, has a class with files but no images, or has two classes of the same name,
    and if the splits have different classes.
    """
    root = Path(folder).expanduser()
    if not root.is_dir():
        raise CornetError(
            f"there is no folder {root}{_similar_folders(root.parent, [root.name])}; give the folder of the images."
        )
    left_out = Counter[str]()
    try:
        train, files = _scan(folder_of_train := _find(root, TRAIN), left_out)
        val, others = _scan(folder_of_val := _find(root, VAL), left_out)
    except OSError as error:
        reason = error.strerror or str(error)
        raise CornetError(
            f"{os.fsdecode(error.filename)} cannot be read ({reason}); fix that, and start again."
        ) from None
    left_out[BOTH] += len(np.intersect1d(files, others))
    spelling = {composed(name): name for name in val}
    _check_same_classes(folder_of_train, folder_of_val, list(map(composed, train)), list(spelling))
    if words := describe_left_out(left_out):
        log.warning("%s: %s", escaped(str(root)), words)
    classes = list(map(escaped, train))
    val = {spelling[composed(name)]: val[spelling[composed(name)]] for name in train}
    return ClassFolder(folder_of_train, train, classes), ClassFolder(folder_of_val, val, classes)


def _find(root: Path, names: tuple[str, ...]) -> Path:
    for name in names:
        if (root / name).is_dir():
            return root / name
    wanted = " or ".join(f"{name}/" for name in names)
    raise CornetError(
        f"there is no {wanted} in {root}{_similar_folders(root, names)}; put images in train/<class>/ and val/<class>/."
    )


def _similar_folders(folder: Path, names: tuple[str, ...] | list[str]) -> str:
    """Phrase that lists folders with similar names; "" without any."""
    try:
        there = sorted(entry.name for entry in os.scandir(folder) if entry.is_dir())
    except OSError:
        return ""
    lower = {name.lower(): name for name in there}
    close = {lower[match] for name in names for match in difflib.get_close_matches(name.lower(), lower)}
    return f" (but there is {', '.join(sorted(close))})" if close else ""


def _scan(split: Path, left_out: Counter[str]) -> tuple[dict[str, list[bytes]], NDArray[np.uint64]]:
    """Images of each class folder, and the number of each file. left_out: the counter to update."""
    with os.scandir(split) as entries:
        listed = sorted(
            (entry for entry in entries if not left_behind(entry.name)), key=lambda entry: entry.name
        )
    classes = [entry.name for entry in listed if kind_of(entry) == "folder"]
    beside = [entry.name.lower() for entry in listed if kind_of(entry) == "file"]
    left_out[LOST] += sum(kind_of(entry) == LOST for entry in listed)
    loose = sum(name.endswith(EXTENSIONS) for name in beside)
    if loose and not classes:
        raise CornetError(
            f"the images of {split} are not sorted into classes; put them into one folder per class, "
            f"{split}/<class>/, named as in train/."
        )
    if not classes:
        raise CornetError(f"{split} has no class folders; put the images of each class into a folder.")
    left_out[LOOSE] += loose
    found: dict[str, list[bytes]] = {}
    numbers: list[int] = []
    without = []
    for name in classes:
        others = Counter[str]()
        if files := sorted(_images(os.fsencode(split / name), others, numbers)):
            found[name] = files
        elif others:
            without.append(name)
        else:
            others[EMPTY] += 1
        left_out.update(others)
    if without or not found:
        bad = without or classes
        raise CornetError(
            f"{_class_list(bad)} in {split} {'has' if len(bad) == 1 else 'have'} no images "
            f"({', '.join(EXTENSIONS)}); add some, or remove the folder."
        )
    _check_one_spelling(split, list(found))
    every = np.array(numbers, np.uint64)
    every = every[every > 0]
    files_of_split = np.unique(every)
    left_out[TWICE] += len(every) - len(files_of_split)
    return found, files_of_split


def _images(folder: bytes, left_out: Counter[str], numbers: list[int]) -> Iterator[bytes]:
    """Yield image paths below `folder`, relative to it. numbers: list to append each file's number to."""
    skip = len(folder) + 1
    seen = set()  # folders, to avoid cycles through links
    waiting = [folder]
    while waiting:
        current = waiting.pop()
        where = os.stat(current)
        if (where.st_dev, where.st_ino) in seen:
            left_out[AGAIN] += 1
            continue
        seen.add((where.st_dev, where.st_ino))
        with os.scandir(current) as entries:
            for entry in entries:
                # Runs a million times for ImageNet, so the common case needs few calls.
                image = entry.name.lower().endswith(ENDINGS)
                if (not image or entry.name[:1] in b".~") and left_behind(os.fsdecode(entry.name)):
                    continue
                if image and entry.is_file(follow_symlinks=False):
                    numbers.append(_file_number(where.st_dev, entry.inode()))
                    yield entry.path[skip:]
                elif (kind := kind_of(entry)) == "folder":
                    waiting.append(entry.path)
                elif kind == SPECIAL:
                    left_out[SPECIAL] += 1
                elif not image:
                    left_out[extension_of(os.fsdecode(entry.name))] += 1
                else:
                    if kind == LOST:
                        left_out[LOST] += 1
                    else:
                        numbers.append(_file_number(entry.stat().st_dev, entry.stat().st_ino))
                    yield entry.path[skip:]


def _file_number(device: int, inode: int) -> int:
    """Number that identifies a file across all its names; 0 if the file system has no inodes."""
    return 0 if inode in UNKNOWN else (device * 0x9E3779B97F4A7C15 + inode) % 2**64


def _check_one_spelling(split: Path, folders: Sequence[str]) -> None:
    first: dict[str, str] = {}
    for name in folders:
        if (other := first.setdefault(composed(name), name)) != name:
            raise CornetError(
                f"{split} has two folders whose names differ only in Unicode normalisation, {other!a} and "
                f"{name!a}; put their images into one of them."
            )


def _check_same_classes(train: Path, val: Path, of_train: list[str], of_val: list[str]) -> None:
    if set(of_train) == set(of_val):
        return
    if not set(of_train) & set(of_val):
        raise CornetError(
            f"{val} has none of the classes of {train} (it has {_class_list(of_val)}); sort its images "
            f"into folders named as in train/, such as {of_train[0]}/."
        )
    for folder, here, other, there in ((train, of_train, val, of_val), (val, of_val, train, of_train)):
        if missing := sorted(set(here) - set(there)):
            raise CornetError(
                f"{_class_list(missing)} of {folder} {'is' if len(missing) == 1 else 'are'} missing in {other}, but "
                "both must have the same classes; add the missing ones, or remove the extra ones."
            )


def _class_list(names: list[str]) -> str:
    """The first five class names for a message, and the number of others."""
    more = f" and {len(names) - 5} more" if len(names) > 5 else ""
    shown = ", ".join(map(escaped, names[:5]))
    return f"{'class' if len(names) == 1 else 'classes'} {shown}{more}"

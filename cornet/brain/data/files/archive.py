"""Read images from a zip archive one at a time, without extracting it.

An archive is rejected before any image is read if it has path traversal, links, duplicate names, encryption,
compression other than deflate, or implausibly large entries. No entry is decompressed beyond its declared size.
"""

import hashlib
import os
import stat
import zipfile
import zlib
from collections import Counter
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cornet.brain.cache import file_state, is_settled
from cornet.errors import CornetError
from cornet.names import composed, left_behind
from cornet.stimuli.decode import BadImage, decode_image

__all__ = ["ZipPictures", "image_names"]

MAX_ENTRY = 256 * 2**20
"""Maximum bytes per entry. The largest image that `decode_image` accepts has 300 MB of pixels, far less compressed."""

MAX_TOTAL = 256 * 2**30
"""Maximum total bytes of all entries."""

MAX_RATIO = 100
"""Maximum ratio of uncompressed to archive size, above RATIO_FROM bytes: images barely compress, zip bombs do."""

RATIO_FROM = 2**30


class ZipPictures:
    """The archive's images with the given names, in order. Implements `cornet.stimuli.stimulus_set.Pictures`.

    filenames: as in the archive, or relative to its single top-level folder. Reading is thread-safe, and every process
    opens the archive itself. Raises CornetError for an unsafe or changed archive and for missing names.
    """

    def __init__(self, path: Path | str, filenames: Sequence[str]) -> None:
        self.path = Path(path).absolute()
        self._state = _state(self.path)
        entries = image_names(self.path)
        found = [entries.get(name, entries.get(composed(name))) for name in filenames]
        missing = [name for name, entry in zip(filenames, found, strict=True) if entry is None]
        if missing:
            raise CornetError(
                f"{len(missing)} of {len(filenames)} images, such as {missing[0]!r}, are not in {self.path}; the "
                "table must match the archive, so fetch or create both again."
            )
        self.filenames = tuple(filenames)
        self._entries = tuple(entry for entry in found if entry is not None)
        self._opened: tuple[int, zipfile.ZipFile] | None = None

    def __len__(self) -> int:
        return len(self._entries)

    def __getitem__(self, index: int) -> NDArray[np.uint8]:
        """Return one image, (y, x, 3) RGB uint8. Raises CornetError if it cannot be read or decoded."""
        try:
            return decode_image(self.data(index))
        except BadImage as error:
            raise CornetError(
                f"the image {self._entries[index]!r} in {self.path} cannot be decoded: {error}; replace it."
            ) from None

    def data(self, index: int) -> bytes:
        """Return the encoded bytes of one image. Raises CornetError if the entry is damaged."""
        entry = self._entries[index]
        try:
            archive = self._archive()
            size = archive.getinfo(entry).file_size
            with archive.open(entry) as file:
                # With a size, zipfile decompresses no more than that; it checks the CRC at the end of the entry.
                data = file.read(size)
                if len(data) != size or file.read(1):
                    raise zipfile.BadZipFile(f"{len(data):,} of {size:,} bytes are present")
                return data
        except _UNREADABLE as error:
            raise CornetError(
                f"the image {entry!r} in {self.path} cannot be read ({error or type(error).__name__}); the archive "
                "is damaged, so fetch or create it again."
            ) from None

    @cached_property
    def identity(self) -> str:
        """SHA-256 of each image's name, size and content, in order. Computed once per process and `file_state`."""
        known = (self._state, self.filenames, self._entries)
        if known not in _IDENTITIES:
            digest = hashlib.sha256()
            for index, name in enumerate(self.filenames):
                data = self.data(index)
                digest.update(f"{name}\0{len(data)}\0".encode("utf-8", "surrogateescape"))
                digest.update(hashlib.sha256(data).digest())
            if not is_settled(self._state):
                return digest.hexdigest()
            _IDENTITIES[known] = digest.hexdigest()
        return _IDENTITIES[known]

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_opened": None}

    def _archive(self) -> zipfile.ZipFile:
        """Open the archive once per process: a forked process must not share the file position."""
        opened = self._opened
        if opened is None or opened[0] != os.getpid():
            if _state(self.path) != self._state:
                raise CornetError(f"{self.path} changed while it was in use; load it again.")
            opened = self._opened = (os.getpid(), zipfile.ZipFile(self.path))
        return opened[1]


def image_names(path: Path | str) -> dict[str, str]:
    """Map the image names that a table may use to the archive's entries. Raises CornetError for an unsafe archive.

    If all images are in one folder, their names may omit it. Folders and `left_behind` files are skipped.
    """
    path = Path(path)
    try:
        with zipfile.ZipFile(path) as archive:
            infos = archive.infolist()
    except FileNotFoundError:
        raise CornetError(f"the archive {path} does not exist; check the path.") from None
    except _UNREADABLE as error:
        raise CornetError(
            f"{path} is not a complete zip archive ({error or type(error).__name__}); fetch or create it again."
        ) from None
    _check(path, infos)
    names = [
        info.filename
        for info in infos
        if not (info.is_dir() or any(map(left_behind, info.filename.split("/"))))
    ]
    parents = {name.rpartition("/")[0].split("/")[0] for name in names}
    below = {}
    if len(parents) == 1 and "" not in parents:
        folder = os.path.commonpath([name.rpartition("/")[0] for name in names])
        below = {name[len(folder) + 1 :]: name for name in names}
    entries = below | {name: name for name in names}
    return {composed(name): entry for name, entry in entries.items()} | entries


_UNREADABLE = (
    zipfile.BadZipFile,
    zipfile.LargeZipFile,
    zlib.error,
    EOFError,
    KeyError,
    OSError,
    RuntimeError,  # an entry whose local header says encrypted or an unknown compression
    ValueError,
)
_IDENTITIES: dict[tuple[Any, ...], str] = {}


def _check(path: Path, infos: Sequence[zipfile.ZipInfo]) -> None:
    """Raise CornetError for entries that are unsafe or too large."""
    for info in infos:
        if problem := _name_problem(info.filename) or _entry_problem(info):
            raise CornetError(
                f"{path} contains {info.filename!r}, which {problem}; this is not supported, so create the archive "
                "again."
            )
    name, times = Counter(info.filename for info in infos).most_common(1)[0] if infos else ("", 0)
    if times > 1:
        raise CornetError(
            f"{path} contains {name!r} {times} times, but names must be unique; create it again."
        )
    size, packed = path.stat().st_size, sum(info.compress_size for info in infos)
    if packed > size:
        raise CornetError(
            f"{path} has {size:,} bytes, but its entries declare {packed:,}, so some of them overlap; create the "
            "archive again."
        )
    total = sum(info.file_size for info in infos)
    if total > MAX_TOTAL or total > max(RATIO_FROM, MAX_RATIO * size):
        raise CornetError(
            f"{path} has {size:,} bytes and would expand to {total:,}, but the limits are {MAX_RATIO} times its size "
            f"(above {RATIO_FROM:,} bytes) and {MAX_TOTAL:,} bytes; create an archive of the images alone."
        )


def _name_problem(name: str) -> str:
    parts = name.replace("\\", "/").split("/")
    if parts[0] == "" or parts[0][1:2] == ":":
        return "is an absolute path"
    if ".." in parts:
        return "points outside the archive"
    return ""


def _entry_problem(info: zipfile.ZipInfo) -> str:
    kind = stat.S_IFMT(info.external_attr >> 16)
    if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
        return "is a link" if kind == stat.S_IFLNK else "is not a regular file"
    if info.flag_bits & 0x1:
        return "is encrypted"
    if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        return f"uses compression method {info.compress_type}, while only deflate is supported"
    if info.file_size > MAX_ENTRY:
        return f"declares {info.file_size:,} bytes, more than the limit of {MAX_ENTRY:,}"
    return ""


def _state(path: Path) -> tuple[int, ...]:
    try:
        return file_state(path)
    except OSError as error:
        raise CornetError(f"the archive {path} cannot be read ({error.strerror}); check the path.") from None

"""Pictures in a zip archive, read one by one without unpacking it.

Refused before anything is read: names that lead out of the archive, links, repeated names, encryption, compression
other than deflate, and entries larger than any stimulus set. No entry is unpacked beyond the size it claims.
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

__all__ = ["MAX_ENTRY", "MAX_RATIO", "MAX_TOTAL", "ZipPictures", "image_names"]

MAX_ENTRY = 256 * 2**20
"""Bytes that one entry may hold; the largest image that `decode_image` takes has 300 MB of pixels, packed far less."""

MAX_TOTAL = 256 * 2**30
"""Bytes that all entries together may hold."""

MAX_RATIO = 100
"""Times its own size that an archive may grow to, where it grows beyond RATIO_FROM: images hardly shrink, bombs do."""

RATIO_FROM = 2**30


class ZipPictures:
    """The pictures with these names, in this order: `cornet.stimuli.stimulus_set.Pictures`.

    filenames: as in the archive, or below the one folder that holds all of it. Several threads may
    read; another process opens it anew. Raises CornetError for a refused or changed archive, and for missing names.
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
                "table and the archive must belong together, so fetch or pack them again."
            )
        self.filenames = tuple(filenames)
        self._entries = tuple(entry for entry in found if entry is not None)
        self._opened: tuple[int, zipfile.ZipFile] | None = None

    def __len__(self) -> int:
        return len(self._entries)

    def __getitem__(self, index: int) -> NDArray[np.uint8]:
        """(y, x, 3) RGB uint8. Raises CornetError, naming file and archive, for what cannot be read or decoded."""
        try:
            return decode_image(self.data(index))
        except BadImage as error:
            raise CornetError(
                f"the image {self._entries[index]!r} in {self.path} cannot be decoded: {error}; replace it."
            ) from None

    def data(self, index: int) -> bytes:
        """The bytes of one image file."""
        entry = self._entries[index]
        try:
            archive = self._archive()
            size = archive.getinfo(entry).file_size
            with archive.open(entry) as file:
                # With a number, zipfile unpacks no more than that; the checksum is looked at when all of it is read.
                data = file.read(size)
                if len(data) != size or file.read(1):
                    raise zipfile.BadZipFile(f"{len(data):,} bytes of {size:,} are there")
                return data
        except _UNREADABLE as error:
            raise CornetError(
                f"the image {entry!r} in {self.path} cannot be read ({error or type(error).__name__}); the archive "
                "is damaged, so fetch or pack it again."
            ) from None

    @cached_property
    def identity(self) -> str:
        """SHA-256 of each picture's name, size and content, in order. Read once per process and `file_state`."""
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
        """The archive as this process has it open: a file position must not be shared with a forked one."""
        opened = self._opened
        if opened is None or opened[0] != os.getpid():
            if _state(self.path) != self._state:
                raise CornetError(f"{self.path} was changed while it was in use; load it again.")
            opened = self._opened = (os.getpid(), zipfile.ZipFile(self.path))
        return opened[1]


def image_names(path: Path | str) -> dict[str, str]:
    """An archive's entries by the names that a table may use; raises CornetError for an unsafe archive.

    A name may leave out the one folder that holds everything. Folders and `left_behind` files are left out.
    """
    path = Path(path)
    try:
        with zipfile.ZipFile(path) as archive:
            infos = archive.infolist()
    except FileNotFoundError:
        raise CornetError(f"there is no archive {path}; give the path of one.") from None
    except _UNREADABLE as error:
        raise CornetError(
            f"{path} is not a whole zip archive ({error or type(error).__name__}); fetch or pack it again."
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
    RuntimeError,  # an entry that its own header calls encrypted, or packed in a way that is not known
    ValueError,
)
_IDENTITIES: dict[tuple[Any, ...], str] = {}


def _check(path: Path, infos: Sequence[zipfile.ZipInfo]) -> None:
    """Refuse what no stimulus set holds."""
    for info in infos:
        if problem := _name_problem(info.filename) or _entry_problem(info):
            raise CornetError(
                f"{path} holds {info.filename!r}, which {problem}; such an archive is not read, so pack the "
                "images again."
            )
    name, times = Counter(info.filename for info in infos).most_common(1)[0] if infos else ("", 0)
    if times > 1:
        raise CornetError(f"{path} holds {name!r} {times} times, but a name must be unique; pack it again.")
    size, packed = path.stat().st_size, sum(info.compress_size for info in infos)
    if packed > size:
        raise CornetError(
            f"{path} has {size:,} bytes and its entries claim {packed:,} of them, so some share the same bytes; "
            "such an archive is not read, so pack the images again."
        )
    total = sum(info.file_size for info in infos)
    if total > MAX_TOTAL or total > max(RATIO_FROM, MAX_RATIO * size):
        raise CornetError(
            f"{path} has {size:,} bytes and would become {total:,}, but {MAX_RATIO} times its size (beyond "
            f"{RATIO_FROM:,} bytes) and {MAX_TOTAL:,} bytes are the most that is read; pack the images themselves."
        )


def _name_problem(name: str) -> str:
    parts = name.replace("\\", "/").split("/")
    if parts[0] == "" or parts[0][1:2] == ":":
        return "is an absolute path"
    if ".." in parts:
        return "leads out of the archive"
    return ""


def _entry_problem(info: zipfile.ZipInfo) -> str:
    kind = stat.S_IFMT(info.external_attr >> 16)
    if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
        return "is a link" if kind == stat.S_IFLNK else "is no plain file"
    if info.flag_bits & 0x1:
        return "is encrypted"
    if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        return f"is packed by method {info.compress_type} where only deflate is read"
    if info.file_size > MAX_ENTRY:
        return f"claims {info.file_size:,} bytes where {MAX_ENTRY:,} are the most that is read"
    return ""


def _state(path: Path) -> tuple[int, ...]:
    try:
        return file_state(path)
    except OSError as error:
        raise CornetError(
            f"there is no archive {path} that can be read ({error.strerror}); give the path of one."
        ) from None

"""Read shards from a folder, or fetch them from object storage (LitData: s3://, gs://, azure://, hf://, r2://).

Fetched shards are named by their content hash and shared by all processes of a machine. Above the size limit, the least
recently used ones are deleted; only files that this module wrote, in a marked subfolder of the cache, are deleted.
"""

import contextlib
import os
import re
import stat
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from cornet.errors import CornetError
from cornet.files import NewFile, atomic_write, cache_folder
from cornet.hashing import content_hash
from cornet.opening import locked_file, open_checked, open_entry, ours, read_bytes
from cornet.stimuli.datasets.shard_format import DESCRIPTION, item_offsets

__all__ = ["ShardStore"]

OPEN = 64
"""Open shards per process; more than it reads from at a time."""

LARGEST = 10**9
"""Size limit in bytes for index files, which state the sizes of the shards."""

MARKER = "cornet-shards.txt"
SHARD = re.compile(r"(train|val)/chunk-0-[0-9]+\.[0-9a-f]{16}\.bin")
"""Names of fetched shards: `shard_name` with the content hash."""


class ShardStore:
    """Reads shards and their index files.

    folder: a path, or a URL such as s3://bucket/imagenet. cache: folder for fetched shards, which go to a subfolder
    of cornet-shards per URL; default: in the user's cache. cache_gb: limit for the shards of this URL in gigabytes;
    None for no limit. storage_options: passed to the storage client, such as {"endpoint_url": ...}; the client takes
    credentials from the environment.
    """

    def __init__(
        self,
        folder: str | os.PathLike[str],
        cache: str | os.PathLike[str] | None = None,
        cache_gb: float | None = None,
        storage_options: Mapping[str, Any] | None = None,
    ) -> None:
        self.folder = os.fspath(folder).rstrip("/")
        self.remote = "://" in self.folder
        self.cache_gb = cache_gb
        self.storage_options = dict(storage_options or {})
        if not self.remote:
            self.base = Path(self.folder).expanduser()
        else:
            name = content_hash(self.folder.encode())
            above = cache_folder() / "shards" if cache is None else Path(cache).expanduser() / "cornet-shards"
            self.base = above / name
        self._files: OrderedDict[str, tuple[int, NDArray[np.uint32]]] = OrderedDict()
        self._downloader: tuple[int, Any] | None = None

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_files": OrderedDict(), "_downloader": None}

    def __del__(self) -> None:
        for descriptor, _ in getattr(self, "_files", {}).values():
            os.close(descriptor)

    def read(self, name: str) -> bytes:
        """Read the current content of an index file. Raises CornetError if it is missing."""
        try:
            if self.remote:
                with self._lock(name):
                    self._fetch(name, self.base / name)
                    with open_entry(self.base / name) as file:
                        return file.read()
            return read_bytes(self.base / name)
        except OSError as error:
            if self.remote:
                raise self._unusable_error(error) from None
            raise CornetError(
                f"there is no {name} in {self.folder} ({error.strerror}); give a folder of shards written by `cornet "
                "prepare ... --shards`."
            ) from None

    def item(self, name: str, place: int, size: int, digest: str) -> bytes:
        """Read the bytes of an item. Raises CornetError for a missing or wrong shard."""
        if name not in self._files:
            self._open(name, size, digest)
        self._files.move_to_end(name)
        descriptor, begins = self._files[name]
        start, end = int(begins[place]), int(begins[place + 1])
        if not start <= end <= size:
            raise CornetError(f"{name} in {self.folder} is damaged; write or copy it again.")
        return os.pread(descriptor, end - start, start)

    def _open(self, name: str, size: int, digest: str) -> None:
        descriptor = self._descriptor(name, size, digest)
        found = os.fstat(descriptor).st_size
        if found != size:
            os.close(descriptor)
            raise CornetError(
                f"{name} in {self.folder} has {found:,} bytes, not {size:,}: the shards are incomplete or of "
                "another data set; write or copy them again."
            )
        count = int(np.frombuffer(os.pread(descriptor, 4, 0), "<u4")[0])
        try:
            self._files[name] = (
                descriptor,
                item_offsets(os.pread(descriptor, 4 * (min(count, size // 4) + 2), 0)),
            )
        except ValueError:
            os.close(descriptor)
            raise CornetError(f"{name} in {self.folder} is damaged; write or copy it again.") from None
        if len(self._files) > OPEN:
            os.close(self._files.popitem(last=False)[1][0])

    def _descriptor(self, name: str, size: int, digest: str) -> int:
        path = self.base / name
        if self.remote:
            path = path.with_name(f"{path.stem}.{digest}.bin")
        else:
            try:
                return open_checked(path, os.O_RDONLY)
            except OSError as error:
                raise CornetError(
                    f"{path} cannot be read ({error.strerror}): the shards are incomplete; write or copy them again."
                ) from None
        while True:
            try:
                with contextlib.suppress(FileNotFoundError), open_entry(path) as file:
                    os.utime(file.fileno())  # records the last use
                    return os.dup(file.fileno())
                with self._lock(name):
                    if not path.exists():
                        self._free_space(size)
                        self._fetch(name, path, digest, size)
            except OSError as error:
                raise self._unusable_error(error) from None

    def _unusable_error(self, error: OSError) -> CornetError:
        return CornetError(
            f"{error.filename or self.base} cannot be used ({error.strerror or error}); fix that, or set data.cache or "
            "the environment variable CORNET_CACHE to another folder."
        )

    @contextlib.contextmanager
    def _lock(self, name: str) -> Iterator[None]:
        """Lock a name among the processes of this machine."""
        path = self.base / f"{name}.fetching"
        path.parent.mkdir(parents=True, exist_ok=True)
        if not (self.base / MARKER).exists():
            atomic_write(self.base / MARKER, f"Shards fetched from {self.folder}; cornet may delete them.\n")
        with locked_file(path):
            yield

    def _fetch(self, name: str, path: Path, digest: str = "", max_bytes: int = LARGEST) -> None:
        """Fetch a file atomically. digest: expected content hash, "" for any. Raises OSError for local errors."""
        address = f"{self.folder}/{name}"
        reason = "nothing is there"
        with NewFile(path) as new:
            try:
                self._client().download_fileobj(address, SizeLimited(new.file, max_bytes))
                new.file.flush()
                streamed = new.temporary.stat().st_size > 0
                if not streamed:  # LitData cannot stream from this storage
                    new.temporary.unlink()
                    self._client().download_file(address, str(new.temporary))
                if new.temporary.exists():
                    if digest and content_hash(new.temporary.read_bytes()) != digest:
                        raise CornetError(
                            f"{address} does not match its hash in {DESCRIPTION}; write the shards again."
                        )
                    if streamed:
                        new.commit()
                    else:
                        os.replace(new.temporary, path)
                    return
            except CornetError:
                raise
            except Exception as error:  # each storage client has its own exceptions
                reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise CornetError(
            f"{address} could not be fetched ({reason}); check the URL, the credentials in the environment and "
            "data.storage_options."
        )

    def _client(self) -> Any:
        """LitData's downloader for this storage; a new one per process, as connections do not survive a fork."""
        if self._downloader is None or self._downloader[0] != os.getpid():
            try:
                from litdata.streaming.downloader import get_downloader
            except ImportError:
                raise CornetError(
                    f"{self.folder} is in object storage, which needs LitData: pip install 'cornet-ventral[litdata]', "
                    "or give a local folder."
                ) from None
            self._downloader = (
                os.getpid(),
                get_downloader(self.folder, str(self.base), [], self.storage_options),
            )
        return self._downloader[1]

    def _free_space(self, size: int) -> None:
        """Delete the least recently used shards. Processes that have them open can still read them."""
        if self.cache_gb is None:
            return
        shards = []
        for path in self.base.glob("*/*.bin"):
            with contextlib.suppress(FileNotFoundError):
                about = path.lstat()
                if (
                    SHARD.fullmatch(path.relative_to(self.base).as_posix())
                    and stat.S_ISREG(about.st_mode)
                    and ours(about)
                ):
                    shards.append((about.st_mtime_ns, about.st_size, path))
        total = size + sum(shard_size for _, shard_size, _ in shards)
        for _, bytes_freed, path in sorted(shards):
            if total <= self.cache_gb * 1e9 or not (self.base / MARKER).is_file():
                return
            path.unlink(missing_ok=True)
            total -= bytes_freed


class SizeLimited:
    """A file that raises ValueError for writes beyond `max_bytes`, as a server may send without end."""

    def __init__(self, file: BinaryIO, max_bytes: int) -> None:
        self.file, self.max_bytes = file, max_bytes

    def __getattr__(self, name: str) -> Any:
        return getattr(self.file, name)

    def write(self, data: Any) -> int:
        if self.file.tell() + len(data) > self.max_bytes:
            raise ValueError(f"it sent more than the maximum of {self.max_bytes:,} bytes")
        return self.file.write(data)

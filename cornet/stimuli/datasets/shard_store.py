"""Where shards lie: in a folder, or in object storage (LitData: s3://, gs://, azure://, hf://, r2://), fetched whole.

Fetched shards are named by their content and shared by all processes of a machine; the least recently used are deleted
above the limit. Only our own files, in a marked subfolder of the cache, are ever deleted.
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
from cornet.stimuli.datasets.shard_format import DESCRIPTION, places

__all__ = ["ShardStore"]

OPEN = 64
"""Shards that a process keeps open: more than it reads from at a time."""

LARGEST = 10**9
"""Bytes of what lies beside the shards, which tells how large they are."""

MARKER = "cornet-shards.txt"
SHARD = re.compile(r"(train|val)/chunk-0-[0-9]+\.[0-9a-f]{16}\.bin")
"""Names of fetched shards: as `shard_name` gives them, with the hash of the content."""


class ShardStore:
    """Reads shards and what lies beside them.

    folder: a path, or an address such as s3://bucket/imagenet. cache: fetched shards are kept in its subfolder
    cornet-shards, those of each address in one of their own; None for a folder in the user's cache. cache_gb: how large
    that of this address may become, in gigabytes; None for no limit.
    storage_options: handed to the storage's client, such as {"endpoint_url": ...}; credentials come from the
    environment, as the client finds them.
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
        self._made: tuple[int, Any] | None = None

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_files": OrderedDict(), "_made": None}

    def __del__(self) -> None:
        for descriptor, _ in getattr(self, "_files", {}).values():
            os.close(descriptor)

    def read(self, name: str) -> bytes:
        """A small file, as it is now. Raises CornetError where there is none."""
        try:
            if self.remote:
                with self._lock(name):
                    self._fetch(name, self.base / name)
                    with open_entry(self.base / name) as file:
                        return file.read()
            return read_bytes(self.base / name)
        except OSError as error:
            if self.remote:
                raise self._unusable(error) from None
            raise CornetError(
                f"there is no {name} in {self.folder} ({error.strerror}): name a folder of shards that `cornet prepare "
                "... --shards` has written."
            ) from None

    def item(self, name: str, place: int, size: int, digest: str) -> bytes:
        """The bytes of an item of a shard. Raises CornetError for a missing or wrong one."""
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
                f"{name} in {self.folder} has {found:,} bytes and not {size:,}: the shards are incomplete or of "
                "another data set; write or copy them again."
            )
        count = int(np.frombuffer(os.pread(descriptor, 4, 0), "<u4")[0])
        try:
            self._files[name] = descriptor, places(os.pread(descriptor, 4 * (min(count, size // 4) + 2), 0))
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
                    os.utime(file.fileno())  # when it was used last
                    return os.dup(file.fileno())
                with self._lock(name):
                    if not path.exists():
                        self._make_room(size)
                        self._fetch(name, path, digest, size)
            except OSError as error:
                raise self._unusable(error) from None

    def _unusable(self, error: OSError) -> CornetError:
        return CornetError(
            f"{error.filename or self.base} cannot be used ({error.strerror or error}); mend that, or name another "
            "folder in data.cache or the environment variable CORNET_CACHE."
        )

    @contextlib.contextmanager
    def _lock(self, name: str) -> Iterator[None]:
        """One process of this machine at a time."""
        path = self.base / f"{name}.fetching"
        path.parent.mkdir(parents=True, exist_ok=True)
        if not (self.base / MARKER).exists():
            atomic_write(
                self.base / MARKER, f"Shards fetched from {self.folder}; cornet removes them as it likes.\n"
            )
        with locked_file(path):
            yield

    def _fetch(self, name: str, path: Path, digest: str = "", most: int = LARGEST) -> None:
        """Write aside, then rename. digest: required; "" for any. most: bytes. Raises OSError for local files."""
        address = f"{self.folder}/{name}"
        reason = "nothing is there"
        with NewFile(path) as new:
            try:
                self._client().download_fileobj(address, Limited(new.file, most))
                new.file.flush()
                streamed = new.temporary.stat().st_size > 0
                if not streamed:  # a storage that LitData does not stream from
                    new.temporary.unlink()
                    self._client().download_file(address, str(new.temporary))
                if new.temporary.exists():
                    if digest and content_hash(new.temporary.read_bytes()) != digest:
                        raise CornetError(
                            f"{address} is not the shard that {DESCRIPTION} names; write the shards again."
                        )
                    if streamed:
                        new.commit()
                    else:
                        os.replace(new.temporary, path)
                    return
            except CornetError:
                raise
            except Exception as error:  # each storage's client has errors of its own
                reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise CornetError(
            f"{address} could not be fetched ({reason}); see to the address, the credentials in the environment "
            "and data.storage_options."
        )

    def _client(self) -> Any:
        """LitData's for this kind of storage, made anew in every process: connections do not survive a fork."""
        if self._made is None or self._made[0] != os.getpid():
            try:
                from litdata.streaming.downloader import get_downloader
            except ImportError:
                raise CornetError(
                    f"{self.folder} is in object storage, which needs LitData: pip install 'cornet-ventral[litdata]', "
                    "or name a local folder."
                ) from None
            self._made = os.getpid(), get_downloader(self.folder, str(self.base), [], self.storage_options)
        return self._made[1]

    def _make_room(self, size: int) -> None:
        """Remove the least recently used shards. A process that has one open can still read it."""
        if self.cache_gb is None:
            return
        kept = []
        for path in self.base.glob("*/*.bin"):
            with contextlib.suppress(FileNotFoundError):
                about = path.lstat()
                if (
                    SHARD.fullmatch(path.relative_to(self.base).as_posix())
                    and stat.S_ISREG(about.st_mode)
                    and ours(about)
                ):
                    kept.append((about.st_mtime_ns, about.st_size, path))
        total = size + sum(one[1] for one in kept)
        for _, bytes_freed, path in sorted(kept):
            if total <= self.cache_gb * 1e9 or not (self.base / MARKER).is_file():
                return
            path.unlink(missing_ok=True)
            total -= bytes_freed


class Limited:
    """A file that takes no byte behind `most`: a storage may send without end."""

    def __init__(self, file: BinaryIO, most: int) -> None:
        self.file, self.most = file, most

    def __getattr__(self, name: str) -> Any:
        return getattr(self.file, name)

    def write(self, data: Any) -> int:
        if self.file.tell() + len(data) > self.most:
            raise ValueError(f"it sent more than {self.most:,} bytes, which this file has at most")
        return self.file.write(data)

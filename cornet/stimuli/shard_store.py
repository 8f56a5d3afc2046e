"""Where shards lie: in a folder of this machine, or in object storage, from where they are fetched whole when needed.

Fetched shards are kept in a folder that all processes of a machine share, named by their content: each is fetched once,
and where the storage has come to hold others, those are fetched. Where the folder would become larger than it may,
those not used for longest go. Fetching is LitData's (s3://, gs://, azure://, hf://, r2://).
"""

import contextlib
import fcntl
import hashlib
import os
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cornet.errors import CornetError
from cornet.files import cache_folder
from cornet.stimuli.shard_format import DESCRIPTION, places

__all__ = ["ShardStore"]

OPEN = 64
"""Shards that a process keeps open: more than it reads from at a time."""


class ShardStore:
    """Reads shards and what lies beside them.

    folder: a path, or an address such as s3://bucket/imagenet. cache: where fetched shards are kept; None for a
    folder in the user's cache. cache_gb: how large that may become, in gigabytes; None for no limit.
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
        elif cache is not None:
            self.base = Path(cache).expanduser()
        else:
            name = hashlib.blake2b(self.folder.encode(), digest_size=8).hexdigest()
            self.base = cache_folder() / "shards" / name
        self._files: OrderedDict[str, tuple[int, NDArray[np.uint32]]] = OrderedDict()
        self._made: tuple[int, Any] | None = None

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_files": OrderedDict(), "_made": None}

    def __del__(self) -> None:
        for descriptor, _ in getattr(self, "_files", {}).values():
            os.close(descriptor)

    def read(self, name: str) -> bytes:
        """A small file, as it is now. Raises CornetError where there is none."""
        if self.remote:
            with self._lock(name):
                self._fetch(name, self.base / name)
                return (self.base / name).read_bytes()
        try:
            return (self.base / name).read_bytes()
        except OSError as error:
            raise CornetError(
                f"there is no {name} in {self.folder} ({error.strerror}): name a folder of shards that `cornet prepare "
                "... --shards` has written."
            ) from None

    def item(self, name: str, place: int, size: int, digest: str) -> bytes:
        """The bytes of an item of a shard of `size` bytes with this hash.

        Raises CornetError where that is not there as a whole, and for a fetched one with another hash.
        """
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
                return os.open(path, os.O_RDONLY)
            except OSError as error:
                raise CornetError(
                    f"{path} cannot be read ({error.strerror}): the shards are incomplete; write or copy them again."
                ) from None
        while True:
            with contextlib.suppress(FileNotFoundError):
                descriptor = os.open(path, os.O_RDONLY)
                os.utime(descriptor)  # when it was used last
                return descriptor
            with self._lock(name):
                if not path.exists():
                    self._make_room(size)
                    self._fetch(name, path, digest)

    @contextlib.contextmanager
    def _lock(self, name: str) -> Iterator[None]:
        """One process of this machine at a time."""
        path = self.base / f"{name}.fetching"
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(path, "w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield

    def _fetch(self, name: str, path: Path, digest: str = "") -> None:
        """Write aside, then rename. digest: that it must have; "" for any."""
        address = f"{self.folder}/{name}"
        aside = path.with_name(f".{path.name}.{os.getpid()}.part")
        try:
            with open(aside, "wb") as file:
                self._client().download_fileobj(address, file)
            if not aside.stat().st_size:  # a storage that LitData does not stream from
                aside.unlink()
                self._client().download_file(address, str(aside))
            if digest and hashlib.blake2b(aside.read_bytes(), digest_size=8).hexdigest() != digest:
                raise CornetError(
                    f"{address} is not the shard that {DESCRIPTION} names; write the shards again."
                )
            os.replace(aside, path)
            return
        except CornetError:
            raise
        except Exception as error:  # each storage's client has errors of its own
            reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        finally:
            aside.unlink(missing_ok=True)
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
        """Remove the shards that were not used for longest. Who has one open can read it to its end all the same."""
        if self.cache_gb is None:
            return
        kept = []
        for path in self.base.rglob("*.bin"):
            with contextlib.suppress(FileNotFoundError):
                about = path.stat()
                kept.append((about.st_mtime_ns, about.st_size, path))
        total = size + sum(one[1] for one in kept)
        for _, bytes_freed, path in sorted(kept):
            if total <= self.cache_gb * 1e9:
                return
            path.unlink(missing_ok=True)
            total -= bytes_freed

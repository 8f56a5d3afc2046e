"""Fetching the published checkpoints into a shared folder, checked by their SHA-256.

By torch.hub's convention a file's name has the first digits; the full hash of an accepted file is in <file>.sha256.
"""

import contextlib
import hashlib
import os
from pathlib import Path

from cornet.errors import CornetError
from cornet.fetch import fetch_file, fetch_lock, translate_os_errors
from cornet.files import atomic_write, cache_folder
from cornet.models.catalogue import published_model
from cornet.models.safe_load import looks_like_checkpoint
from cornet.opening import is_foreign, open_entry

__all__ = ["BASE_URL", "fetch_published"]

BASE_URL = "https://s3.amazonaws.com/cornet-models/"

LARGEST = 2 * 10**9
"""Bytes of a checkpoint that are downloaded at most; the published ones have up to 0.2 GB."""


def fetch_published(
    name: str,
    base_url: str | os.PathLike[str] | None = None,
    cache: str | os.PathLike[str] | None = None,
    accept_hash: bool = False,
    timeout: float = 30.0,
) -> Path:
    """The path of a network's published checkpoint, from the cache or else from `base_url`.

    name: one of `cornet.list_models()`.
    base_url: http or https address, or a folder, that holds the file; None for the environment variable
        CORNET_WEIGHTS_URL or else the address of 2018.
    cache: a folder, whose subfolder weights takes the file; None for `cornet.files.cache_folder()`.
    accept_hash: take a file whose SHA-256 does not begin as its name says, and record its own.
    timeout: seconds without a byte after which a server counts as stalled.

    A download that broke off is continued by the next call where the server allows it. Several processes
    may fetch at once: one downloads, the others wait for it.

    Raises CornetError where the file cannot be had or is not what its name says; a part of a file or a wrong
    one is never taken for it.
    """
    file = published_model(name).file
    folder = (Path(cache).expanduser() if cache else cache_folder()) / "weights"
    path = folder / file
    source = os.fspath(base_url or os.environ.get("CORNET_WEIGHTS_URL") or BASE_URL)
    remedy = (
        f"place the file by hand at {path}, give pretrained=PATH, or name another address or folder that has it "
        "in the environment variable CORNET_WEIGHTS_URL"
    )
    with translate_os_errors(
        path, "mend that, or name another folder in the environment variable CORNET_CACHE"
    ):
        if not path.exists():
            folder.mkdir(parents=True, exist_ok=True)
            with fetch_lock(folder / f"{file}.lock"):
                if not path.exists():  # another process may have fetched it meanwhile
                    fetch_file(
                        source,
                        path,
                        lambda found, joined: mismatch(found, path, accept_hash and not joined),
                        remedy,
                        timeout,
                        LARGEST,
                    )
                    return path
        if problem := mismatch(path, path, accept_hash):
            raise CornetError(f"{path} {problem}, or delete it to fetch it again.")
    return path


def mismatch(file: Path, path: Path, accept_hash: bool) -> str:
    """What is wrong with a file that is, or is to be, the checkpoint `path`; "" if right: then its hash is recorded."""
    with open_entry(file) as stream:
        if not looks_like_checkpoint(file):
            return f"is no checkpoint but begins with {stream.read(16)!r}; ask whoever serves it"
        own = hashlib.file_digest(stream, "sha256").hexdigest()
    record = path.with_name(f"{path.name}.sha256")
    recorded: list[str] = []
    with contextlib.suppress(OSError), open_entry(record) as stream:
        recorded = stream.read(4096).decode(errors="replace").split()[:1]
    expected = recorded[0] if recorded else path.stem.rpartition("-")[2]
    if not own.startswith(expected) and not accept_hash:
        kept = f"{expected} was recorded for it" if recorded else f"by its name it begins with {expected}"
        return f"has the SHA-256 {own}, but {kept}; take it all the same with accept_hash=True"
    if own != expected and not is_foreign(record):
        with contextlib.suppress(CornetError):  # a folder that others keep may not be ours to write in
            atomic_write(record, f"{own}  {path.name}\n")
    return ""

"""Fetch published checkpoints into the cache and verify their SHA-256.

File names hold the first 8 digits (torch.hub's convention); <file>.sha256 records the full hash of an accepted file.
"""

import contextlib
import hashlib
import os
from pathlib import Path

from cornet.errors import CornetError
from cornet.fetch import fetch_file, fetch_lock, translate_os_errors
from cornet.files import atomic_write, cache_folder
from cornet.models.registry import registered
from cornet.models.safe_load import looks_like_checkpoint
from cornet.opening import is_foreign, open_entry

__all__ = ["fetch_published"]

LARGEST = 2 * 10**9
"""Download limit in bytes; published checkpoints have up to 0.2 GB."""


def fetch_published(
    name: str,
    base_url: str | os.PathLike[str] | None = None,
    cache: str | os.PathLike[str] | None = None,
    accept_hash: bool = False,
    timeout: float = 30.0,
) -> Path:
    """Return the path of a published checkpoint; fetch it if it is not in the cache.

    name: one of `cornet.list_models()`.
    base_url: http(s) URL or folder that holds the file; default: the environment variable CORNET_WEIGHTS_URL,
        else the server that the family names.
    cache: cache folder; the file goes to its subfolder weights. Default: `cornet.files.cache_folder()`.
    accept_hash: accept a file whose SHA-256 does not match its name, and record its hash.
    timeout: seconds without data after which the download fails.

    The next call resumes an interrupted download if the server supports it. Concurrent processes are safe: one
    downloads, the others wait.

    Raises CornetError if the network has no published weights, and if the file cannot be fetched or does not match its
    name.
    """
    entry = registered(name)
    if not entry.weights:
        raise CornetError(f"{name} has no published weights; give pretrained=PATH, or pretrained=False.")
    file = entry.file
    folder = (Path(cache).expanduser() if cache else cache_folder()) / "weights"
    path = folder / file
    source = os.fspath(base_url or os.environ.get("CORNET_WEIGHTS_URL") or entry.weights.removesuffix(file))
    remedy = (
        f"place the file by hand at {path}, give pretrained=PATH, or set the environment variable "
        "CORNET_WEIGHTS_URL to a URL or folder that has it"
    )
    with translate_os_errors(
        path, "fix that, or set the environment variable CORNET_CACHE to another folder"
    ):
        if not path.exists():
            folder.mkdir(parents=True, exist_ok=True)
            with fetch_lock(folder / f"{file}.lock"):
                if not path.exists():  # another process may have fetched it
                    fetch_file(
                        source,
                        path,
                        lambda found, joined: find_problem(found, path, accept_hash and not joined),
                        remedy,
                        timeout,
                        LARGEST,
                    )
                    return path
        if problem := find_problem(path, path, accept_hash):
            raise CornetError(f"{path} {problem}, or delete it to fetch it again.")
    return path


def find_problem(file: Path, path: Path, accept_hash: bool) -> str:
    """Check a file that is or becomes the checkpoint `path`: return the problem, or "" and record its hash."""
    with open_entry(file) as stream:
        if not looks_like_checkpoint(file):
            return (
                f"is not a checkpoint (it begins with {stream.read(16)!r}); report it to the server's owner"
            )
        own = hashlib.file_digest(stream, "sha256").hexdigest()
    record = path.with_name(f"{path.name}.sha256")
    recorded: list[str] = []
    with contextlib.suppress(OSError), open_entry(record) as stream:
        recorded = stream.read(4096).decode(errors="replace").split()[:1]
    expected = recorded[0] if recorded else path.stem.rpartition("-")[2]
    if not own.startswith(expected) and not accept_hash:
        rule = (
            f"its recorded hash is {expected}"
            if recorded
            else f"its name says that it begins with {expected}"
        )
        return f"has the SHA-256 {own}, but {rule}; accept it with accept_hash=True"
    if own != expected and not is_foreign(record):
        with contextlib.suppress(CornetError):  # a shared folder may not be writable
            atomic_write(record, f"{own}  {path.name}\n")
    return ""

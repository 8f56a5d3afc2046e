"""Fetch the public brain data into a folder shared by all runs, and verify it by the hashes in
`cornet.brain.data.public.listing`.

A file gets its final name only after its SHA-1 is verified; .<file>.verified records the hash, size and mtime.
"""

import contextlib
import hashlib
import os
from importlib import import_module
from pathlib import Path

from cornet.brain.data.public.listing import BASE_URL, KAR2019_PAGE, PublicData, PublicFile, public_data
from cornet.errors import CornetError
from cornet.fetch import fetch_file, fetch_lock, is_address, translate_os_errors
from cornet.files import atomic_write, cache_folder
from cornet.opening import is_foreign, open_entry

__all__ = ["VARIABLE", "data_folder", "download_status", "fetch", "require"]

VARIABLE = "CORNET_DATA_URL"
REMEDY = "fix its permissions, or set CORNET_CACHE to another folder"


def fetch(
    name: str | PublicData,
    base_url: str | os.PathLike[str] | None = None,
    folder: str | os.PathLike[str] | None = None,
    timeout: float = 30.0,
) -> Path:
    """Download the missing files of a public data set and return its folder.

    name: majajhong2015, freemanziemba2013, rajalingham2018, kar2019, or the description of another set.
    base_url: http(s) URL or folder with the files under their published names; None for the environment variable
        CORNET_DATA_URL, else Brain-Score's server. For kar2019 a folder or the file.
    folder: target folder; None for data/<name> in `cornet.files.cache_folder()`.
    timeout: seconds without data after which a server counts as stalled.

    Valid files are not downloaded again, and an interrupted download resumes on the next call. If several processes
    fetch at once, one downloads and the others wait.

    Raises CornetError if a file cannot be fetched, does not match its hash, or does not fit on the disk.
    """
    data = public_data(name) if isinstance(name, str) else name
    target = data_folder(data, folder)
    with translate_os_errors(
        target, "fix this, or choose another folder with --to or the environment variable CORNET_CACHE"
    ):
        if not _data_problem(data, target):
            return target
        target.mkdir(parents=True, exist_ok=True)
        with fetch_lock(target / ".lock"):
            for file in data.files:
                path = target / file.name
                if path.exists():
                    if problem := _file_problem(file, path):
                        raise CornetError(f"{path} {problem}; delete it to fetch it again.")
                else:
                    _fetch_file(data, file, _source(data, base_url, target), path, timeout)
    return target


def require(name: str | PublicData, folder: str | os.PathLike[str] | None = None) -> Path:
    """Return the folder of a public data set. Raises CornetError with the fetch command if it is incomplete."""
    data = public_data(name) if isinstance(name, str) else name
    target = data_folder(data, folder)
    with translate_os_errors(target, REMEDY):
        if problem := _data_problem(data, target):
            where = f" --to {target}" if folder else ""
            raise CornetError(f"{problem}; run `cornet fetch {data.name}{where}`.")
    return target


def download_status(data: PublicData, folder: str | os.PathLike[str] | None = None) -> str:
    """Describe the download for a table: the folder, "not fetched", or the number of files present."""
    target = data_folder(data, folder)
    with translate_os_errors(target, REMEDY):
        present = sum((target / file.name).exists() for file in data.files)
        partial = any(target.glob("*.part"))
        if not present:
            return "not fetched, partial download" if partial else "not fetched"
        if present < len(data.files):
            return f"{present} of {len(data.files)} files in {target}"
        return _data_problem(data, target) or str(target)


def data_folder(data: PublicData, folder: str | os.PathLike[str] | None = None) -> Path:
    """Return the folder for a data set's files, which may not exist yet."""
    return Path(folder).expanduser() if folder else cache_folder() / "data" / data.name


def _source(data: PublicData, base_url: str | os.PathLike[str] | None, target: Path) -> str:
    """Return the URL or folder to fetch from. Raises CornetError for a URL of data that must be fetched by hand."""
    source = os.fspath(base_url or os.environ.get(VARIABLE) or BASE_URL)
    if is_address(source) and data.by_hand:  # without a published hash, a wrong file would go unnoticed
        raise CornetError(
            f"{data.name} must be fetched by hand: download {data.files[0].name} from the authors' page, "
            f"{KAR2019_PAGE}, and pass its path with --from, or place it at {target / data.files[0].name}."
        )
    return source


def _fetch_file(data: PublicData, file: PublicFile, source: str, path: Path, timeout: float) -> None:
    """Download or copy one file, verify it, and record its hash."""
    remedy = (
        f"place the file by hand at {path}, or set another URL or folder with --from or the environment variable "
        f"{VARIABLE}"
    )
    if data.by_hand:
        remedy = f"download it from the authors' page, {KAR2019_PAGE}, and pass its path with --from"

    def problem(download: Path, joined: bool) -> str:
        mismatch = _content_problem(file, download)
        step = "contact the provider of this file" if file.sha1 else "copy it again"
        return f"{mismatch}; {step}" if mismatch else ""

    fetch_file(source, path, problem, remedy, timeout)
    if file.sha1 is not None:
        _write_record(path, _state(file, path.stat()))


def _data_problem(data: PublicData, target: Path) -> str:
    """Return why a data set is incomplete or invalid, or ""."""
    for file in data.files:
        path = target / file.name
        if not path.exists():
            return f"{data.name} is not fetched: {file.name} is missing from {target}"
        if problem := _file_problem(file, path):
            return f"{path} {problem}; delete it"
    return ""


def _file_problem(file: PublicFile, path: Path) -> str:
    """Return what is wrong with a file, or "". Uses the verification record if it is current, else the content."""
    try:
        with open_entry(path) as stream:
            state = _state(file, os.fstat(stream.fileno()))
        if file.sha1 is not None:
            with contextlib.suppress(OSError), open_entry(_record_path(path)) as stream:
                if stream.read(4096) == state.encode():
                    return ""
        if problem := _content_problem(file, path):
            return problem
    except OSError as error:
        return f"cannot be used ({error.strerror or error})"
    if file.sha1 is not None:
        _write_record(path, state)
    return ""


def _content_problem(file: PublicFile, path: Path) -> str:
    """Return what is wrong with a file's content, as text to follow its path, or ""."""
    if file.sha1 is None:
        return import_module(file.checked_by).problem(path)
    with open_entry(path) as stream:
        actual = hashlib.file_digest(stream, lambda: hashlib.sha1(usedforsecurity=False)).hexdigest()
    return "" if actual == file.sha1 else f"has the SHA-1 {actual}, but {file.sha1} was published"


def _write_record(path: Path, state: str) -> None:
    """Write the verification record of a file."""
    if is_foreign(_record_path(path)):
        return
    with contextlib.suppress(CornetError):  # a shared folder may be read-only
        atomic_write(_record_path(path), state)


def _record_path(path: Path) -> Path:
    return path.with_name(f".{path.name}.verified")


def _state(file: PublicFile, status: os.stat_result) -> str:
    return f"{file.sha1} {status.st_size} {status.st_mtime_ns}\n"

"""Fetching the public brain data into a folder shared by all runs, verified by the hashes of `public_data`.

A file gets its name once its SHA-1 is right; .<file>.verified beside it records the hash, size and time of change.
(A module called `fetch` would hide `brain.fetch`.)
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

__all__ = ["data_folder", "fetch", "locate", "require", "whereabouts"]

VARIABLE = "CORNET_DATA_URL"


def fetch(
    name: str | PublicData,
    base_url: str | os.PathLike[str] | None = None,
    folder: str | os.PathLike[str] | None = None,
    timeout: float = 30.0,
) -> Path:
    """The folder of a public data set, whose files are downloaded where they are missing.

    name: majajhong2015, freemanziemba2013, rajalingham2018, kar2019, or the description of another set.
    base_url: http or https address, or folder, that holds the files under their published names; None for the
        environment variable CORNET_DATA_URL or else Brain-Score's own address. For kar2019 a folder or the file.
    folder: where the files go; None for data/<name> in `cornet.files.cache_folder()`.
    timeout: seconds without a byte after which a server counts as stalled.

    Files that are there and right are left alone; a download that broke off is continued by the next call. Several
    processes may fetch at once: one downloads, the others wait for it.

    Raises CornetError where a file cannot be had, is not what was published, or does not fit on the disk.
    """
    data = public_data(name) if isinstance(name, str) else name
    target = data_folder(data, folder)
    with translate_os_errors(
        target, "mend that, or choose another folder with --to or the environment variable CORNET_CACHE"
    ):
        if not _lacking(data, target):
            return target
        target.mkdir(parents=True, exist_ok=True)
        with fetch_lock(target / ".lock"):
            for file in data.files:
                path = target / file.name
                if path.exists():
                    if wrong := _wrong(file, path):
                        raise CornetError(f"{path} {wrong}; delete it to fetch it again.")
                else:
                    _bring(data, file, _source(data, base_url, target), path, timeout)
    return target


def locate(name: str | PublicData, folder: str | os.PathLike[str] | None = None) -> Path | None:
    """The folder of a public data set, if all its files are there and are what was published; else None."""
    data = public_data(name) if isinstance(name, str) else name
    target = data_folder(data, folder)
    with translate_os_errors(target, "mend that"):
        return None if _lacking(data, target) else target


def require(name: str | PublicData, folder: str | os.PathLike[str] | None = None) -> Path:
    """The folder of a public data set. Raises CornetError, with the command that fetches it, where it is not whole."""
    data = public_data(name) if isinstance(name, str) else name
    target = data_folder(data, folder)
    with translate_os_errors(target, "mend that"):
        if lacking := _lacking(data, target):
            where = f" --to {target}" if folder else ""
            raise CornetError(f"{lacking}; run `cornet fetch {data.name}{where}`.")
    return target


def whereabouts(data: PublicData, folder: str | os.PathLike[str] | None = None) -> str:
    """For a table: the folder where the data lie, "not fetched", or how many of the files are there."""
    target = data_folder(data, folder)
    with translate_os_errors(target, "mend that"):
        there = sum((target / file.name).exists() for file in data.files)
        begun = any(target.glob("*.part"))
        if not there:
            return "not fetched, a download was begun" if begun else "not fetched"
        if there < len(data.files):
            return f"{there} of {len(data.files)} files in {target}"
        return _lacking(data, target) or str(target)


def data_folder(data: PublicData, folder: str | os.PathLike[str] | None = None) -> Path:
    """Where the files of a data set lie, or will lie."""
    return Path(folder).expanduser() if folder else cache_folder() / "data" / data.name


def _source(data: PublicData, base_url: str | os.PathLike[str] | None, target: Path) -> str:
    source = os.fspath(base_url or os.environ.get(VARIABLE) or BASE_URL)
    if is_address(source) and data.by_hand:  # nothing would tell a wrong file from the right one
        raise CornetError(
            f"{data.name} must be fetched by hand: download {data.files[0].name} from the authors' page, "
            f"{KAR2019_PAGE}, and give its path with --from, or place it at {target / data.files[0].name}."
        )
    return source


def _bring(data: PublicData, file: PublicFile, source: str, path: Path, timeout: float) -> None:
    remedy = (
        f"place the file by hand at {path}, or name another address or folder that has it with --from or the "
        f"environment variable {VARIABLE}"
    )
    if data.by_hand:
        remedy = f"download it from the authors' page, {KAR2019_PAGE}, and give its path with --from"

    def problem(found: Path, joined: bool) -> str:
        wrong = _mismatch(file, found)
        return f"{wrong}; ask whoever serves it" if wrong and file.sha1 else wrong

    fetch_file(source, path, problem, remedy, timeout)
    if file.sha1 is not None:
        _remember(path, _state(file, path.stat()))


def _lacking(data: PublicData, target: Path) -> str:
    """Why a data set does not count as there; "" where it does."""
    for file in data.files:
        path = target / file.name
        if not path.exists():
            return f"{data.name} is not fetched: {target} lacks {file.name}"
        if wrong := _wrong(file, path):
            return f"{path} {wrong} and must be deleted"
    return ""


def _wrong(file: PublicFile, path: Path) -> str:
    """What is wrong with a file that has its name, by what is remembered of it or else by its content."""
    try:
        with open_entry(path) as stream:
            state = _state(file, os.fstat(stream.fileno()))
        if file.sha1 is not None:
            with contextlib.suppress(OSError), open_entry(_record(path)) as stream:
                if stream.read(4096) == state.encode():
                    return ""
        if wrong := _mismatch(file, path):
            return wrong
    except OSError as error:
        return f"cannot be used ({error.strerror or error})"
    if file.sha1 is not None:
        _remember(path, state)
    return ""


def _mismatch(file: PublicFile, path: Path) -> str:
    """What is wrong with a file's content, as words that follow its path; "" where it is right."""
    if file.sha1 is None:
        return import_module(file.checked_by).problem(path)
    with open_entry(path) as stream:
        own = hashlib.file_digest(stream, lambda: hashlib.sha1(usedforsecurity=False)).hexdigest()
    return "" if own == file.sha1 else f"has the SHA-1 {own}, but {file.sha1} was published"


def _remember(path: Path, state: str) -> None:
    if is_foreign(_record(path)):
        return
    with contextlib.suppress(CornetError):  # a folder that others keep may not be ours to write in
        atomic_write(_record(path), state)


def _record(path: Path) -> Path:
    return path.with_name(f".{path.name}.verified")


def _state(file: PublicFile, status: os.stat_result) -> str:
    return f"{file.sha1} {status.st_size} {status.st_mtime_ns}\n"

"""Write a bundle from a recording, in steps that a repeated command continues after a stop.

1. Blocks of responses go to a flat file and images to an archive in the work folder, noted in its journal.
2. The assembly is written from the flat file, read back, and compared with the hash of every block.
3. The folder with the finished files is renamed to the bundle's name.
"""

import contextlib
import json
import logging
import os
import shutil
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from cornet.brain.data.bundle import load_bundle
from cornet.brain.data.convert.base import Converter, Images, Options, Recording
from cornet.brain.data.convert.writing.assembly_file import changed_block, write_assembly
from cornet.brain.data.convert.writing.stored_zip import finish, write_entry
from cornet.brain.data.convert.writing.work import FlatResponses, Journal, block_hash, work_folder
from cornet.brain.data.split_rule import RULE_FILE
from cornet.errors import CornetError
from cornet.files import atomic_write, file_error, sync
from cornet.hashing import digest
from cornet.opening import locked_file
from cornet.terminal import download_bar

__all__ = ["MIN_MEMORY", "Conversion", "convert"]

log = logging.getLogger("cornet")

VERSION = 1
"""Version of the conversion. A change starts unfinished conversions again."""

MIN_MEMORY = 2**24
"""Minimum bytes for `memory`."""

IMAGES_AT_ONCE = 2**25
"""Bytes of images between two notes in the journal."""

SOURCE_FILE = "source.json"
"""File of a bundle that says which published files it was made from."""


@dataclass(frozen=True)
class Conversion:
    """A finished conversion. read: blocks that this call read; the others were there. restarted: what had changed since
    an earlier, unfinished conversion, or "". existed: whether the bundle was complete before."""

    folder: Path
    shape: tuple[int, int, int]
    stimuli: int
    blocks: int = 0
    read: int = 0
    restarted: str = ""
    existed: bool = False
    notes: tuple[str, ...] = ()


def convert(converter: Converter, options: Options, target: Path, memory: int) -> Conversion:
    """Write the bundle `target` from published files.

    memory: maximum bytes for reading. An interrupted conversion is continued if its files and options are the same,
    else started again. Raises CornetError for files that are not as published, a target that exists, a full disk, and
    a target that another process is writing.
    """
    if memory < MIN_MEMORY:
        raise CornetError(
            f"--memory allows {memory:,} bytes, but at least {MIN_MEMORY:,} are needed; give more."
        )
    recording = converter.open(options)
    _check(recording)
    shape = (len(recording.presentations), len(recording.neuroids), len(recording.time_bins))
    blocks = list(recording.blocks(memory))
    header = {
        "version": VERSION,
        "converter": converter.name,
        "input files": _states(recording.paths),
        "images": digest(_states(recording.images.inputs())),
        "options": options.as_json(),
        "--memory or shape": [
            list(shape),
            recording.dtype.str,
            digest(*([block.rows, block.columns.start, len(block.columns)] for block in blocks)),
        ],
    }
    if target.exists() or target.is_symlink():
        if _made_from(target) == _identity(header):
            return Conversion(target, shape, len(recording.stimuli), len(blocks), existed=True)
        raise CornetError(
            f"{target} exists and was not made from these files with these options; choose another folder with --to, "
            "or remove it."
        )
    folder = work_folder(target)
    folder.mkdir(parents=True, exist_ok=True)
    with _locked(folder, target):
        journal = Journal(folder, header)
        try:
            if journal.restarted:
                log.warning("%s: %s changed, so the conversion starts again", target.name, journal.restarted)
            _check_space(folder, shape, recording)
            todo = [index for index in range(len(blocks)) if index not in journal.blocks]
            flat = FlatResponses(folder / "responses.bin", shape, recording.dtype)
            try:
                _write_blocks(recording, blocks, todo, flat, journal, memory)
                _write_images(folder / "stimuli.zip", recording.images, recording.stimuli, journal)
                bundle = _finish(folder, converter, recording, blocks, flat, journal, header)
            finally:
                flat.close()
        finally:
            journal.close()
        os.rename(bundle, target)
        sync(target.parent)
        shutil.rmtree(folder, ignore_errors=True)
    return Conversion(
        target,
        shape,
        len(recording.stimuli),
        len(blocks),
        len(todo),
        journal.restarted,
        notes=tuple(recording.notes),
    )


def _check(recording: Recording) -> None:
    """Raise CornetError for ids that are not unique, and for recordings without content."""
    ids = recording.stimuli["stimulus_id"]
    if ids.duplicated().any():
        raise CornetError(
            f"the stimulus {str(ids[ids.duplicated()].iloc[0])!r} occurs twice in the published files, but ids must be "
            "unique; check that all files belong to one data set."
        )
    keys = recording.neuroids.duplicated(["subject", "neuroid_id"])
    if keys.any():
        first = recording.neuroids[keys].iloc[0]
        raise CornetError(
            f"the neuroid {first['neuroid_id']} of {first['subject']} occurs twice, but must be unique; check that all "
            "files belong to different sessions."
        )
    if not len(recording.neuroids) or not len(recording.presentations):
        raise CornetError(
            f"{recording.name} has no neuroids or no presentations; check that the files are complete."
        )


def _write_blocks(
    recording: Recording,
    blocks: list[Any],
    todo: list[int],
    flat: FlatResponses,
    journal: Journal,
    memory: int,
) -> None:
    """Read the missing blocks and write them to the flat file."""
    cell = flat.shape[2] * flat.dtype.itemsize
    sizes = [len(block.rows) * len(block.columns) * cell for block in blocks]
    with download_bar(
        recording.name, sum(sizes) - sum(sizes[index] for index in todo), sum(sizes)
    ) as advance:
        for index in todo:
            block = blocks[index]
            values, late = recording.read(block, memory)
            values = np.ascontiguousarray(values, flat.dtype)
            expected = (len(block.rows), len(block.columns), flat.shape[2])
            if values.shape != expected:
                raise ValueError(f"the converter returned {values.shape}, not {expected}")
            flat.write(block, values)
            journal.add_block(index, block_hash(values), {name: late[name].tolist() for name in late})
            advance(sizes[index])


def _write_images(path: Path, images: Images, stimuli: pd.DataFrame, journal: Journal) -> None:
    """Append the missing images to the archive, and end it with its directory."""
    names = stimuli["filename"].tolist()
    moved = path.parent / "bundle" / path.name
    try:
        if moved.exists() and not path.exists():  # stopped after `_finish` had moved it
            os.replace(moved, path)
        with (
            open(path, "r+b" if path.exists() else "w+b") as file,
            download_bar("images", 0, None) as advance,
        ):
            position = journal.images[-1].end if journal.images else 0
            fresh: list[Any] = []
            for index in range(len(journal.images), len(names)):
                entry = write_entry(file, names[index], images.data(index), position)
                position, fresh = entry.end, [*fresh, entry]
                advance(entry.size)
                if position - fresh[0].offset >= IMAGES_AT_ONCE or index == len(names) - 1:
                    file.flush()
                    os.fsync(file.fileno())
                    journal.add_images(fresh)
                    fresh = []
            finish(file, journal.images)
            file.flush()
            os.fsync(file.fileno())
            for entry in journal.images:
                file.seek(entry.start)
                if zlib.crc32(file.read(entry.size)) != entry.crc:
                    raise _damaged(path.parent, f"the image {entry.name!r}")
    except OSError as error:
        raise file_error(error) from None


def _finish(
    folder: Path,
    converter: Converter,
    recording: Recording,
    blocks: list[Any],
    flat: FlatResponses,
    journal: Journal,
    header: Mapping[str, Any],
) -> Path:
    """Write the bundle's files into a folder, verify them, and return it."""
    bundle = folder / "bundle"
    shutil.rmtree(bundle, ignore_errors=True)
    bundle.mkdir()
    neuroids = recording.neuroids.copy()
    for name in recording.late:
        values = np.full(len(neuroids), np.nan, np.float32)
        for index, block in enumerate(blocks):
            values[block.columns.start : block.columns.stop] = journal.blocks[index]["late"][name]
        neuroids[name] = values
    about = {"identifier": recording.name, "citation": converter.citation, "licence": converter.licence}
    path = bundle / "assembly.nc"
    try:
        write_assembly(path, recording, neuroids, flat, about)
        sync(path)
    except OSError as error:
        raise file_error(error) from None
    hashes = [journal.blocks[index]["sha256"] for index in range(len(blocks))]
    if (changed := changed_block(path, blocks, hashes)) is not None:
        raise _damaged(folder, f"block {changed} of {len(blocks)}")
    atomic_write(bundle / "stimulus_set.csv", recording.stimuli.to_csv(index=False, lineterminator="\n"))
    atomic_write(bundle / RULE_FILE, json.dumps(dict(recording.rule), indent=1) + "\n")
    source = {
        "made_from": _identity(header),
        "data_set": converter.name,
        "citation": converter.citation,
        "licence": converter.licence,
        "address": converter.address,
        "files": header["input files"],
        "options": header["options"],
        "notes": list(recording.notes),
    }
    atomic_write(bundle / SOURCE_FILE, json.dumps(source, indent=1) + "\n")
    os.replace(folder / "stimuli.zip", bundle / "stimuli.zip")
    load_bundle(bundle)
    return bundle


def _identity(header: Mapping[str, Any]) -> str:
    """Hash of what determines the bundle: files and options, but not the blocks."""
    return digest({key: header[key] for key in header if key != "--memory or shape"})


def _made_from(target: Path) -> str:
    """Return the identity of the files that a bundle was made from, or ""."""
    try:
        source = json.loads((target / SOURCE_FILE).read_text("utf-8"))
    except (OSError, ValueError):
        return ""
    return str(source.get("made_from", "")) if isinstance(source, dict) else ""


def _states(paths: Any) -> list[list[Any]]:
    """Return name, size and time of each file."""
    found = [(path, path.stat()) for path in paths]
    return [["/".join(path.parts[-3:]), state.st_size, state.st_mtime_ns] for path, state in found]


def _damaged(folder: Path, what: str) -> CornetError:
    return CornetError(
        f"{what} read back from {folder} is not what was written; the disk may be failing: remove this folder and "
        "repeat the command."
    )


def _check_space(folder: Path, shape: tuple[int, int, int], recording: Recording) -> None:
    """Raise CornetError if the disk cannot hold the flat file and the assembly."""
    there = sum(path.stat().st_blocks * 512 for path in folder.iterdir() if path.is_file())
    needed = 2 * int(np.prod(shape)) * recording.dtype.itemsize - there
    if needed > (free := shutil.disk_usage(folder).free):
        raise CornetError(
            f"the conversion needs {needed:,} bytes in {folder.parent}, but {free:,} are free; make room or choose "
            "another folder with --to."
        )


@contextlib.contextmanager
def _locked(folder: Path, target: Path) -> Iterator[None]:
    with contextlib.ExitStack() as stack:
        try:
            stack.enter_context(locked_file(folder / "lock", wait=False))
        except BlockingIOError:
            raise CornetError(
                f"another process is converting to {target}; wait for it, or choose another folder with --to."
            ) from None
        yield

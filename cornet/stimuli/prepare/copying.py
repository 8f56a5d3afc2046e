"""Write a reduced copy of photographs in class folders, with the same folder and file names.

Images are written atomically, and a journal records each original (size and time) and hash, so the same command resumes
after an interruption. At the end, every image is read back before `prepared.json` marks the copy as complete.
"""

import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from cornet.errors import CornetError, check_choice
from cornet.files import NewFile
from cornet.hashing import content_hash
from cornet.names import left_behind
from cornet.opening import read_bytes
from cornet.stimuli.datasets.class_folders import ClassFolder, scan_splits
from cornet.stimuli.datasets.prepared import DESCRIPTION, JOURNAL, Prepared, read_journal
from cornet.stimuli.decode import BadImage, decode_image
from cornet.stimuli.prepare.reencode import reencode, target_size
from cornet.stimuli.prepare.work import Pool, default_processes, locked, pool, run_parallel, with_progress

__all__ = ["prepare_copy", "verify_copy"]

BATCH = 32
"""Images per task."""

UNREADABLE, LOST = -1, -2
"""Journal values in place of a copy's size: the original is unreadable; the copy must be written again."""


class CopyBatch(NamedTuple):
    """Images to copy or verify: target folder, settings, and (path in it, original path or journal row) per image."""

    target: str
    side: str
    pixels: int
    quality: int
    images: list[tuple[str, Any]]


def prepare_copy(
    name: str,
    source: str | os.PathLike[str],
    target: str | os.PathLike[str],
    *,
    side: str = "short",
    pixels: int = 256,
    quality: int = 90,
    processes: int | None = None,
) -> Prepared:
    """Write a reduced copy of the class folders in `source`, or resume it.

    side, pixels: reduce the "short" or the "long" side to `pixels` pixels; smaller images are copied byte for byte.
    quality: of the JPEG files. processes: default: one per core.

    Files keep their names, even if a PNG becomes a JPEG, as readers detect the format by content. Unreadable originals
    are skipped and listed in the returned description.

    Raises CornetError for arguments out of range, for a target with other content, and if images of the copy are
    damaged after two attempts.
    """
    _check(side, pixels, quality)
    train, val = scan_splits(source)
    root, goal = Path(source).expanduser().resolve(), Path(target).expanduser().resolve()
    if goal == root or root in goal.parents or goal in root.parents:
        raise CornetError(f"{goal} and {root} contain one another; choose another folder for the copy.")
    try:
        goal.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise CornetError(f"{goal} cannot be created ({error.strerror}); choose another folder.") from None
    count = {"train": len(train), "val": len(val)}
    prepared = Prepared(name, str(root), side, pixels, quality, count)
    with locked(goal), pool(processes or default_processes()) as workers:
        _check_target(goal, prepared)
        prepared.write(goal)
        originals = _paths("train", train) | _paths("val", val)
        for _ in range(2):
            _copy(prepared, goal, originals, workers)
            rows = {path: row for path, row in read_journal(goal).items() if path in originals}
            damaged = _damaged(prepared, goal, rows, workers)
            if not damaged:
                break
        else:
            raise CornetError(
                f"{len(damaged)} of {len(rows)} images written to {goal} differ when read back, such as "
                f"{damaged[0]}; check the disk, and run the same command again."
            )
        prepared.unreadable = {path: row[3] for path, row in sorted(rows.items()) if row[2] == UNREADABLE}
        for path in prepared.unreadable:
            prepared.images[path.split("/", 1)[0]] -= 1
        prepared.complete = True
        prepared.write(goal)
    return prepared


def verify_copy(target: str | os.PathLike[str], processes: int | None = None) -> Prepared:
    """Read back every image of a copy. Raises CornetError for missing, damaged or wrongly sized images."""
    goal = Path(target).expanduser().resolve()
    prepared = Prepared.read(goal)
    if prepared is None:
        raise CornetError(
            f"{goal} holds no copy made by `cornet prepare` (no {DESCRIPTION}); give a folder that does."
        )
    with locked(goal), pool(processes or default_processes()) as workers:
        rows = {path: row for path, row in read_journal(goal).items() if row[2] != LOST}
        damaged = _damaged(prepared, goal, rows, workers)
        expected = sum(prepared.images.values()) + (len(prepared.unreadable) if prepared.complete else 0)
        missing = max(0, expected - len(rows))
        if damaged or missing:
            prepared.complete = False
            prepared.write(goal)
            example = f" (such as {damaged[0]})" if damaged else ""
            raise CornetError(
                f"{len(damaged)} images of {goal} are missing or damaged{example} and {missing} were never written, of "
                f"{expected}; repair it with `{prepared.command(goal)}`."
            )
    return prepared


def _check(side: str, pixels: int, quality: int) -> None:
    check_choice("side", side, ("short", "long"))
    if pixels < 8:
        raise CornetError(f"--{side}-side {pixels} is too small; give at least 8 pixels, for example 256.")
    if not 1 <= quality <= 100:
        raise CornetError(f"--quality {quality} must be from 1 to 100; give for example 90.")


def _check_target(goal: Path, wanted: Prepared) -> None:
    """Raise CornetError for a folder that holds another copy or other files."""
    found = Prepared.read(goal)
    if found is None:
        if any(not left_behind(entry) for entry in os.listdir(goal)):
            raise CornetError(
                f"{goal} holds files that are not a copy by `cornet prepare`; choose an empty folder."
            )
        return
    for key in ("name", "source", "side", "pixels", "quality"):
        theirs, mine = getattr(found, key), getattr(wanted, key)
        if theirs != mine:
            raise CornetError(
                f"{goal} holds a copy with {key} {theirs}, not {mine}; complete that one with "
                f"`{found.command(goal)}`, or choose another folder."
            )


def _paths(split: str, files: ClassFolder) -> dict[str, str]:
    """{path in the copy: path of the original}, in order."""
    start = len(str(files.root)) + 1
    paths = (files.path(index) for index in range(len(files)))
    return {f"{split}/{path[start:]}": path for path in paths}


def _copy(prepared: Prepared, goal: Path, originals: dict[str, str], workers: Pool) -> None:
    """Write the missing images, and record them in the journal."""
    rows = read_journal(goal)
    todo = [(path, original) for path, original in originals.items() if not _done(goal, path, original, rows)]
    for folder in sorted({os.path.dirname(path) for path, _ in todo}):
        (goal / folder).mkdir(parents=True, exist_ok=True)
    tasks = _make_batches(prepared, goal, todo)
    with open(goal / JOURNAL, "ab") as journal:
        if journal.tell():
            journal.write(b"\n")  # ends a line that a killed process may have left unfinished
        for lines in with_progress(
            run_parallel(_copy_some, tasks, workers), len(todo), len, "images written"
        ):
            journal.write("".join(json.dumps(line) + "\n" for line in lines).encode())
            journal.flush()
        os.fsync(journal.fileno())


def _make_batches(prepared: Prepared, goal: Path, images: Sequence[tuple[str, Any]]) -> list[CopyBatch]:
    return [
        CopyBatch(
            str(goal), prepared.side, prepared.pixels, prepared.quality, list(images[start : start + BATCH])
        )
        for start in range(0, len(images), BATCH)
    ]


def _done(goal: Path, path: str, original: str, rows: dict[str, list[Any]]) -> bool:
    row = rows.get(path)
    if row is None or row[2] == LOST:
        return False
    try:
        now = os.stat(original)
        if [now.st_size, now.st_mtime_ns] != row[:2]:
            return False
        return row[2] == UNREADABLE or os.stat(goal / path).st_size == row[2]
    except OSError:
        return False


def _copy_some(work: CopyBatch) -> list[list[Any]]:
    """Write a batch of images and return their journal lines. Runs in a worker process."""
    lines = []
    for path, original in work.images:
        try:
            with open(original, "rb") as file:
                about = os.fstat(file.fileno())
                data = file.read()
        except OSError as error:
            lines.append([path, 0, 0, UNREADABLE, f"the file cannot be read ({error.strerror})"])
            continue
        try:
            data = reencode(data, work.side, work.pixels, work.quality)
        except BadImage as error:
            lines.append([path, about.st_size, about.st_mtime_ns, UNREADABLE, str(error)])
            continue
        _write_atomically(os.path.join(work.target, path), data)
        lines.append([path, about.st_size, about.st_mtime_ns, len(data), content_hash(data)])
    return lines


def _write_atomically(path: str, data: bytes) -> None:
    """Write a file atomically, without fsync, which would take longer than everything else: after a power cut, sizes
    and hashes reveal lost files."""
    try:
        with NewFile(Path(path)) as new:
            new.file.write(data)
            new.commit(synced=False)
    except OSError as error:
        raise CornetError(
            f"{path} cannot be written ({error.strerror}); fix that, and run the same command again."
        ) from None


def _damaged(prepared: Prepared, goal: Path, rows: dict[str, list[Any]], workers: Pool) -> list[str]:
    """Paths of missing or damaged copies, which are also marked in the journal."""
    images = [(path, row) for path, row in rows.items() if row[2] >= 0]
    tasks = _make_batches(prepared, goal, images)
    damaged: list[str] = []
    results = run_parallel(_verify_some, tasks, workers)
    for _, bad in with_progress(results, len(images), lambda result: result[0], "images verified"):
        damaged += bad
    if damaged:
        with open(goal / JOURNAL, "ab") as journal:
            lines = [json.dumps([path, 0, 0, LOST, ""]) + "\n" for path in damaged]
            journal.write("".join(lines).encode())
            os.fsync(journal.fileno())
        print(f"{len(damaged)} images are missing or damaged", file=sys.stderr)
    return sorted(damaged)


def _verify_some(work: CopyBatch) -> tuple[int, list[str]]:
    """Number of images checked, and the paths of damaged ones. Runs in a worker process."""
    return len(work.images), [path for path, row in work.images if not _is_intact(work, path, row)]


def _is_intact(work: CopyBatch, path: str, row: list[Any]) -> bool:
    try:
        data = read_bytes(os.path.join(work.target, path))
        if len(data) != row[2] or content_hash(data) != row[3]:
            return False
        height, width = decode_image(data).shape[:2]
    except (OSError, BadImage):
        return False
    return target_size(height, width, work.side, work.pixels) == (height, width)

"""A smaller copy of photographs in class folders, in the same folders and under the same names.

Each image is written aside and renamed, and a journal records the original (bytes and time) and the hash, so the same
command goes on after a stop. At the end every image is read back; then `prepared.json` says that the copy is complete.
"""

import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from cornet.errors import CornetError
from cornet.files import NewFile
from cornet.hashing import content_hash
from cornet.names import left_behind
from cornet.opening import read_bytes
from cornet.stimuli.datasets.class_folders import ClassFolder, scan_splits
from cornet.stimuli.datasets.prepared import DESCRIPTION, JOURNAL, Prepared, read_journal
from cornet.stimuli.decode import BadImage, decode_image
from cornet.stimuli.prepare.reencode import reencode, target_size
from cornet.stimuli.prepare.work import Pool, default_processes, locked, pool, shown, spread

__all__ = ["prepare_copy", "verify_copy"]

BATCH = 32
"""Images a task."""

UNREADABLE, LOST = -1, -2
"""In the journal in the place of a copy's bytes: the original cannot be read; the copy is to be made again."""


class Work(NamedTuple):
    """Some images to copy or verify: the folder written to, how, and (path in it, original or journal row)."""

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
    """Write a smaller copy of the class folders in `source`, or go on with it.

    side, pixels: the "short" or the "long" side is reduced to so many pixels; no image is enlarged, and those that
    are small enough are copied byte for byte. quality: of the JPEG files. processes: None for one per core.

    Files keep their names, also where a PNG becomes a JPEG: what a file is, its first bytes say. Originals that
    cannot be read are listed in the description that is returned and written, and left out.

    Raises CornetError for arguments out of range, for a target that holds something else, and when images of the
    copy are damaged after being written twice.
    """
    _check(side, pixels, quality)
    train, val = scan_splits(source)
    root, goal = Path(source).expanduser().resolve(), Path(target).expanduser().resolve()
    if goal == root or root in goal.parents or goal in root.parents:
        raise CornetError(f"{goal} and {root} lie one within the other; choose another folder for the copy.")
    try:
        goal.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise CornetError(f"{goal} cannot be made ({error.strerror}); choose another folder.") from None
    count = {"train": len(train), "val": len(val)}
    prepared = Prepared(name, str(root), side, pixels, quality, count)
    with locked(goal), pool(processes or default_processes()) as made:
        _check_target(goal, prepared)
        prepared.write(goal)
        originals = _paths("train", train) | _paths("val", val)
        for _ in range(2):
            _copy(prepared, goal, originals, made)
            rows = {path: row for path, row in read_journal(goal).items() if path in originals}
            damaged = _damaged(prepared, goal, rows, made)
            if not damaged:
                break
        else:
            raise CornetError(
                f"{len(damaged)} of {len(rows)} images written to {goal} do not read back as they were written, such "
                f"as {damaged[0]}; see whether the disk is at fault, and run the same command again."
            )
        prepared.unreadable = {path: row[3] for path, row in sorted(rows.items()) if row[2] == UNREADABLE}
        for path in prepared.unreadable:
            prepared.images[path.split("/", 1)[0]] -= 1
        prepared.complete = True
        prepared.write(goal)
    return prepared


def verify_copy(target: str | os.PathLike[str], processes: int | None = None) -> Prepared:
    """Read every image of a copy back. Raises CornetError for a missing, damaged or wrongly sized one."""
    goal = Path(target).expanduser().resolve()
    prepared = Prepared.read(goal)
    if prepared is None:
        raise CornetError(
            f"{goal} holds no copy made by `cornet prepare` (no {DESCRIPTION}); name one that does."
        )
    with locked(goal), pool(processes or default_processes()) as made:
        rows = {path: row for path, row in read_journal(goal).items() if row[2] != LOST}
        damaged = _damaged(prepared, goal, rows, made)
        expected = sum(prepared.images.values()) + (len(prepared.unreadable) if prepared.complete else 0)
        missing = max(0, expected - len(rows))
        if damaged or missing:
            prepared.complete = False
            prepared.write(goal)
            example = f" (such as {damaged[0]})" if damaged else ""
            raise CornetError(
                f"{len(damaged)} images of {goal} are missing or damaged{example} and {missing} were never written, of "
                f"{expected}; mend it with `{prepared.command(goal)}`."
            )
    return prepared


def _check(side: str, pixels: int, quality: int) -> None:
    if side not in ("short", "long"):
        raise CornetError(f"side is {side!r}: it must be short or long.")
    if pixels < 8:
        raise CornetError(f"--{side}-side is {pixels}: it must be a number of pixels, such as 256.")
    if not 1 <= quality <= 100:
        raise CornetError(f"--quality is {quality}: it must be from 1 to 100, such as 90.")


def _check_target(goal: Path, wanted: Prepared) -> None:
    """Refuse a folder that holds another copy, or something that is none."""
    found = Prepared.read(goal)
    if found is None:
        if any(not left_behind(entry) for entry in os.listdir(goal)):
            raise CornetError(
                f"{goal} holds files that are no copy by `cornet prepare`; choose an empty folder."
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


def _copy(prepared: Prepared, goal: Path, originals: dict[str, str], made: Pool) -> None:
    """Write what is not there yet, and keep the journal."""
    rows = read_journal(goal)
    todo = [(path, original) for path, original in originals.items() if not _done(goal, path, original, rows)]
    for folder in sorted({os.path.dirname(path) for path, _ in todo}):
        (goal / folder).mkdir(parents=True, exist_ok=True)
    tasks = _works(prepared, goal, todo)
    with open(goal / JOURNAL, "ab") as journal:
        if journal.tell():
            journal.write(b"\n")  # ends a line that a killed process left unfinished
        for lines in shown(spread(_copy_some, tasks, made), len(todo), len, "images written"):
            journal.write("".join(json.dumps(line) + "\n" for line in lines).encode())
            journal.flush()
        os.fsync(journal.fileno())


def _works(prepared: Prepared, goal: Path, images: Sequence[tuple[str, Any]]) -> list[Work]:
    return [
        Work(str(goal), prepared.side, prepared.pixels, prepared.quality, list(images[start : start + BATCH]))
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


def _copy_some(work: Work) -> list[list[Any]]:
    """Write some images; their lines of the journal. Runs in a process of its own."""
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
        _put(os.path.join(work.target, path), data)
        lines.append([path, about.st_size, about.st_mtime_ns, len(data), content_hash(data)])
    return lines


def _put(path: str, data: bytes) -> None:
    """Write aside, then rename. Not brought to the disk one by one, which takes longer than all the rest: after a
    power cut the sizes and hashes tell what was lost."""
    try:
        with NewFile(Path(path)) as new:
            new.file.write(data)
            new.commit(synced=False)
    except OSError as error:
        raise CornetError(
            f"{path} cannot be written ({error.strerror}); mend that, and run the same command again."
        ) from None


def _damaged(prepared: Prepared, goal: Path, rows: dict[str, list[Any]], made: Pool) -> list[str]:
    """Paths whose copies are not as they should be; the journal then says so, too."""
    images = [(path, row) for path, row in rows.items() if row[2] >= 0]
    tasks = _works(prepared, goal, images)
    damaged: list[str] = []
    results = spread(_verify_some, tasks, made)
    for _, bad in shown(results, len(images), lambda result: result[0], "images verified"):
        damaged += bad
    if damaged:
        with open(goal / JOURNAL, "ab") as journal:
            lines = [json.dumps([path, 0, 0, LOST, ""]) + "\n" for path in damaged]
            journal.write("".join(lines).encode())
            os.fsync(journal.fileno())
        print(f"{len(damaged)} images are missing or damaged", file=sys.stderr)
    return sorted(damaged)


def _verify_some(work: Work) -> tuple[int, list[str]]:
    """How many were looked at, and the paths of the damaged ones. Runs in a process of its own."""
    return len(work.images), [path for path, row in work.images if not _good(work, path, row)]


def _good(work: Work, path: str, row: list[Any]) -> bool:
    try:
        data = read_bytes(os.path.join(work.target, path))
        if len(data) != row[2] or content_hash(data) != row[3]:
            return False
        height, width = decode_image(data).shape[:2]
    except (OSError, BadImage):
        return False
    return target_size(height, width, work.side, work.pixels) == (height, width)

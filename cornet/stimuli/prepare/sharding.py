"""Shards of photographs in class folders: their files' bytes, one after another, in LitData's format.

Each shard is written aside and renamed, and a journal records it, so the same command goes on after a stop. At the end
every shard is read back; then `cornet-index.json` says that they are complete.
"""

import hashlib
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from cornet.errors import CornetError
from cornet.files import atomic_write
from cornet.hashing import content_hash
from cornet.names import escaped, left_behind
from cornet.opening import read_bytes
from cornet.stimuli.datasets.class_folders import ClassFolder, scan_splits
from cornet.stimuli.datasets.prepared import check_complete, check_count
from cornet.stimuli.datasets.shard_format import DESCRIPTION, Item, ShardSet, litdata_index, pack, shard_name
from cornet.stimuli.prepare.work import Pool, default_processes, locked, pool, shown, spread

__all__ = ["verify_shards", "write_shards"]

JOURNAL = "cornet-shards.jsonl"


class Shard(NamedTuple):
    """One to write: its split and number, its path, its images, and what the journal says of it."""

    split: str
    number: int
    path: str
    images: list[tuple[int, int, str, str]]  # index, label, path of the file, name
    known: list[Any] | None


def write_shards(
    name: str,
    source: str | os.PathLike[str],
    target: str | os.PathLike[str],
    *,
    per_shard: int = 512,
    processes: int | None = None,
) -> ShardSet:
    """Write shards of the class folders in `source`, originals or a smaller copy, or go on with it.

    per_shard: images a shard (512 of ImageNet's originals take 56 MB). processes: None for one per core. Files are
    taken as they are, unreadable ones, too: training treats them as it does those in class folders.

    Raises CornetError for arguments out of range and for a target that holds something else.
    """
    if per_shard < 1:
        raise CornetError(f"--images-per-shard is {per_shard}: it must be at least 1, such as 512.")
    check_complete(source)
    train, val = scan_splits(source)
    check_count(source, {"train": len(train), "val": len(val)})
    splits = {"train": train, "val": val}
    goal = Path(target).expanduser().resolve()
    counts = {split: _class_counts(files) for split, files in splits.items()}
    about = ShardSet(name, str(Path(source).expanduser().resolve()), train.classes, counts, per_shard)
    for split in splits:
        (goal / split).mkdir(parents=True, exist_ok=True)
    with locked(goal), pool(processes or default_processes()) as made:
        _check_target(goal, about)
        atomic_write(goal / DESCRIPTION, about.dump())
        rows = _write(about, goal, splits, made)
        for split in splits:
            mine = [rows[split, number] for number in range(about.shards(split))]
            about.sizes[split], about.hashes[split] = [row[0] for row in mine], [row[1] for row in mine]
            last = about.images(split) - per_shard * (about.shards(split) - 1)
            held = [per_shard] * (about.shards(split) - 1) + [last]
            atomic_write(goal / split / "index.json", litdata_index(about.sizes[split], held))
        about.digest = about.fingerprint()
        _verify(about, goal, made)
        about.complete = True
        atomic_write(goal / DESCRIPTION, about.dump())
    return about


def verify_shards(target: str | os.PathLike[str], processes: int | None = None) -> ShardSet:
    """Read every shard back. Raises CornetError for one that is missing or not as it was written."""
    goal = Path(target).expanduser().resolve()
    try:
        about = ShardSet.parse((goal / DESCRIPTION).read_bytes(), str(goal / DESCRIPTION))
    except OSError:
        raise CornetError(f"{goal} holds no shards (no {DESCRIPTION}); name a folder that does.") from None
    if not about.complete:
        raise CornetError(f"{goal} is incomplete; complete it with `{_command(about, goal)}`.")
    with pool(processes or default_processes()) as made:
        _verify(about, goal, made)
    return about


def _command(about: ShardSet, goal: Path) -> str:
    return f"cornet prepare {about.name} {about.source} {goal} --shards --images-per-shard {about.per_shard}"


def _class_counts(files: ClassFolder) -> list[int]:
    counts, start = [], 0
    while start < len(files):
        siblings = files.siblings(start)
        counts.append(len(siblings))
        start = siblings.stop
    return counts


def _check_target(goal: Path, wanted: ShardSet) -> None:
    if not (goal / DESCRIPTION).exists():
        if any(not left_behind(entry) and entry not in wanted.counts for entry in os.listdir(goal)):
            raise CornetError(f"{goal} holds files that are no shards; choose an empty folder.")
        return
    found = ShardSet.parse((goal / DESCRIPTION).read_bytes(), str(goal / DESCRIPTION))
    for key in ("name", "source", "per_shard"):
        theirs, mine = getattr(found, key), getattr(wanted, key)
        if theirs != mine:
            raise CornetError(
                f"{goal} holds shards with {key} {theirs}, not {mine}; complete those with "
                f"`{_command(found, goal)}`, or choose another folder."
            )


def _write(
    about: ShardSet, goal: Path, splits: dict[str, ClassFolder], made: Pool
) -> dict[tuple[str, int], list[Any]]:
    """Write what is not there yet: {(split, number): [bytes, hash, fingerprint]}."""
    rows: dict[tuple[str, int], list[Any]] = {}
    journal = goal / JOURNAL
    for line in journal.read_bytes().splitlines() if journal.exists() else ():
        try:
            split, number, *row = json.loads(line)
            rows[split, number] = row
        except ValueError:  # a killed process left it unfinished
            continue
    total = sum(about.shards(split) for split in splits)
    with open(journal, "ab") as file:
        if file.tell():
            file.write(b"\n")
        results = spread(_write_one, _tasks(about, goal, splits, rows), made)
        for split, number, *row in shown(results, total, lambda result: 1, "shards written"):
            rows[split, number] = row
            file.write(json.dumps([split, number, *row]).encode() + b"\n")
            file.flush()
        os.fsync(file.fileno())
    return rows


def _tasks(
    about: ShardSet, goal: Path, splits: dict[str, ClassFolder], rows: dict[tuple[str, int], list[Any]]
) -> Iterator[Shard]:
    for split, files in splits.items():
        order = about.order(split).tolist()
        start = len(str(files.root)) + 1
        for number in range(about.shards(split)):
            images = []
            for index in order[number * about.per_shard : (number + 1) * about.per_shard]:
                path = files.path(index)
                images.append((index, files.label(index), path, escaped(f"{split}/{path[start:]}")))
            path = str(goal / split / shard_name(number))
            yield Shard(split, number, path, images, rows.get((split, number)))


def _write_one(shard: Shard) -> list[Any]:
    """Its line of the journal: split, number, bytes, hash, fingerprint. Runs in a process of its own."""
    mark = _fingerprint(shard)
    try:
        if shard.known and shard.known[2] == mark and os.stat(shard.path).st_size == shard.known[0]:
            return [shard.split, shard.number, *shard.known]
    except OSError:
        pass
    items = [Item(_read(path), index, label, name) for index, label, path, name in shard.images]
    data = pack(items)
    atomic_write(shard.path, data)
    return [shard.split, shard.number, len(data), content_hash(data), mark]


def _fingerprint(shard: Shard) -> str:
    """Of the files in a shard: their names, bytes and times."""
    digest = hashlib.blake2b(digest_size=8)
    for index, label, path, name in shard.images:
        try:
            now = os.stat(path)
            told = [index, label, name, now.st_size, now.st_mtime_ns]
        except OSError:
            told = [index, label, name]
        digest.update(json.dumps(told).encode())
    return digest.hexdigest()


def _read(path: str) -> bytes:
    """Empty where it cannot be read, which no decoder takes for an image."""
    try:
        return read_bytes(path)
    except OSError:
        return b""


def _verify(about: ShardSet, goal: Path, made: Pool) -> None:
    tasks = [
        (str(goal / split / shard_name(number)), digest)
        for split, digests in about.hashes.items()
        for number, digest in enumerate(digests)
    ]
    results = spread(_verify_one, tasks, made)
    bad = sorted(path for path in shown(results, len(tasks), lambda result: 1, "shards verified") if path)
    if bad:
        for path in bad:
            Path(path).unlink(missing_ok=True)
        about.complete = False
        atomic_write(goal / DESCRIPTION, about.dump())
        raise CornetError(
            f"{len(bad)} of {len(tasks)} shards of {goal} were missing or damaged, such as {Path(bad[0]).name}, and "
            f"are removed; write them again with `{_command(about, goal)}`."
        )


def _verify_one(task: tuple[str, str]) -> str:
    """The path of a damaged shard, or nothing. Runs in a process of its own."""
    path, digest = task
    try:
        return "" if content_hash(Path(path).read_bytes()) == digest else path
    except OSError:
        return path

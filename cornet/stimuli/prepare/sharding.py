"""Write the files of class folders into shards in LitData's format.

Shards are written atomically, and a journal records them, so the same command resumes after an interruption. At the
end, every shard is read back before `cornet-index.json` marks them as complete.
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
from cornet.stimuli.prepare.work import Pool, default_processes, locked, pool, run_parallel, with_progress

__all__ = ["verify_shards", "write_shards"]

JOURNAL = "cornet-shards.jsonl"


class Shard(NamedTuple):
    """A shard to write: split, number, path, images, and its journal entry, if any."""

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
    """Write shards of the class folders in `source` (originals or a reduced copy), or resume writing.

    per_shard: images per shard (512 of ImageNet's originals take 56 MB). processes: default: one per core. Files are
    stored unchanged, including unreadable ones, which training handles as in class folders.

    Raises CornetError for arguments out of range, and for a target with other content.
    """
    if per_shard < 1:
        raise CornetError(f"--images-per-shard {per_shard} must be at least 1; give for example 512.")
    check_complete(source)
    train, val = scan_splits(source)
    check_count(source, {"train": len(train), "val": len(val)})
    splits = {"train": train, "val": val}
    goal = Path(target).expanduser().resolve()
    counts = {split: files.counts() for split, files in splits.items()}
    about = ShardSet(name, str(Path(source).expanduser().resolve()), train.classes, counts, per_shard)
    for split in splits:
        (goal / split).mkdir(parents=True, exist_ok=True)
    with locked(goal), pool(processes or default_processes()) as workers:
        _check_target(goal, about)
        atomic_write(goal / DESCRIPTION, about.dump())
        rows = _write(about, goal, splits, workers)
        for split in splits:
            mine = [rows[split, number] for number in range(about.shards(split))]
            about.sizes[split], about.hashes[split] = [row[0] for row in mine], [row[1] for row in mine]
            last = about.images(split) - per_shard * (about.shards(split) - 1)
            held = [per_shard] * (about.shards(split) - 1) + [last]
            atomic_write(goal / split / "index.json", litdata_index(about.sizes[split], held))
        about.digest = about.fingerprint()
        _verify(about, goal, workers)
        about.complete = True
        atomic_write(goal / DESCRIPTION, about.dump())
    return about


def verify_shards(target: str | os.PathLike[str], processes: int | None = None) -> ShardSet:
    """Read back every shard. Raises CornetError for missing or changed shards."""
    goal = Path(target).expanduser().resolve()
    try:
        about = ShardSet.parse((goal / DESCRIPTION).read_bytes(), str(goal / DESCRIPTION))
    except OSError:
        raise CornetError(f"{goal} holds no shards (no {DESCRIPTION}); give a folder that does.") from None
    if not about.complete:
        raise CornetError(f"{goal} is incomplete; complete it with `{_command(about, goal)}`.")
    with pool(processes or default_processes()) as workers:
        _verify(about, goal, workers)
    return about


def _command(about: ShardSet, goal: Path) -> str:
    return f"cornet prepare {about.name} {about.source} {goal} --shards --images-per-shard {about.per_shard}"


def _check_target(goal: Path, wanted: ShardSet) -> None:
    if not (goal / DESCRIPTION).exists():
        if any(not left_behind(entry) and entry not in wanted.counts for entry in os.listdir(goal)):
            raise CornetError(f"{goal} holds files that are not shards; choose an empty folder.")
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
    about: ShardSet, goal: Path, splits: dict[str, ClassFolder], workers: Pool
) -> dict[tuple[str, int], list[Any]]:
    """Write the missing shards. Returns {(split, number): [size, hash, fingerprint]} of all shards."""
    rows: dict[tuple[str, int], list[Any]] = {}
    journal = goal / JOURNAL
    for line in journal.read_bytes().splitlines() if journal.exists() else ():
        try:
            split, number, *row = json.loads(line)
            rows[split, number] = row
        except ValueError:  # an unfinished line of a killed process
            continue
    total = sum(about.shards(split) for split in splits)
    with open(journal, "ab") as file:
        if file.tell():
            file.write(b"\n")
        results = run_parallel(_write_one, _tasks(about, goal, splits, rows), workers)
        for split, number, *row in with_progress(results, total, lambda result: 1, "shards written"):
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
    """Write a shard. Returns its journal line: split, number, size, hash, fingerprint. Runs in a worker process."""
    fingerprint = _fingerprint(shard)
    try:
        if shard.known and shard.known[2] == fingerprint and os.stat(shard.path).st_size == shard.known[0]:
            return [shard.split, shard.number, *shard.known]
    except OSError:
        pass
    items = [Item(_read(path), index, label, name) for index, label, path, name in shard.images]
    data = pack(items)
    atomic_write(shard.path, data)
    return [shard.split, shard.number, len(data), content_hash(data), fingerprint]


def _fingerprint(shard: Shard) -> str:
    """Hash of the files in a shard: names, sizes and times."""
    digest = hashlib.blake2b(digest_size=8)
    for index, label, path, name in shard.images:
        try:
            now = os.stat(path)
            facts = [index, label, name, now.st_size, now.st_mtime_ns]
        except OSError:
            facts = [index, label, name]
        digest.update(json.dumps(facts).encode())
    return digest.hexdigest()


def _read(path: str) -> bytes:
    """Read a file; b"" if that fails, which decoders reject."""
    try:
        return read_bytes(path)
    except OSError:
        return b""


def _verify(about: ShardSet, goal: Path, workers: Pool) -> None:
    tasks = [
        (str(goal / split / shard_name(number)), digest)
        for split, digests in about.hashes.items()
        for number, digest in enumerate(digests)
    ]
    results = run_parallel(_verify_one, tasks, workers)
    bad = sorted(
        path for path in with_progress(results, len(tasks), lambda result: 1, "shards verified") if path
    )
    if bad:
        for path in bad:
            Path(path).unlink(missing_ok=True)
        about.complete = False
        atomic_write(goal / DESCRIPTION, about.dump())
        raise CornetError(
            f"{len(bad)} of {len(tasks)} shards of {goal} were missing or damaged, such as {Path(bad[0]).name}, and "
            f"were removed; write them again with `{_command(about, goal)}`."
        )


def _verify_one(task: tuple[str, str]) -> str:
    """Path of the shard if it is damaged, else "". Runs in a worker process."""
    path, digest = task
    try:
        return "" if content_hash(Path(path).read_bytes()) == digest else path
    except OSError:
        return path

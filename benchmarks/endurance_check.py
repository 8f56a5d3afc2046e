"""Whether two runs are the same to the last bit, and what a run has left behind."""

import csv
import os
import re
from collections import Counter
from pathlib import Path
from typing import Any

import torch

from cornet.errors import CornetError
from cornet.models.safe_load import read_checkpoint
from cornet.runs.journal import Journal

__all__ = ["differences", "doubled", "good_checkpoint", "leftovers", "size_of", "trained_steps"]

TIMES = {
    "metrics.csv": ("train/images_per_second", "speed/", "brain/seconds"),
    "scores.csv": ("seconds", "commit", "versions"),
    "step_matrix.csv": (),
}
"""Columns, or beginnings of them, that tell times, or of the code; in the tables that two runs must share."""


def differences(whole: Path, ours: Path, before: int | None = None) -> list[str]:
    """What differs between an undisturbed run and ours, in words; nothing where they are the same.

    before: of a run that is not finished only the rows of earlier steps are compared, no weights, and no matrix of
    areas and steps, which comes at a training's end.
    """
    found = []
    if before is None:
        names = {path.name for path in (whole / "checkpoints").glob("*.ckpt")}
        for name in sorted(names):
            found += of_checkpoints(whole / "checkpoints" / name, ours / "checkpoints" / name)
    for name, times in TIMES.items():
        if before is not None and name == "step_matrix.csv":
            continue
        tables = [rows_of(run / name, times) for run in (whole, ours)]
        if before is not None:
            tables = [[row for row in rows if int(float(row.get("step") or 0)) < before] for rows in tables]
        if tables[0] != tables[1]:
            found.append(f"{name}: {first_difference(*tables)}")
    return found


def of_checkpoints(whole: Path, ours: Path) -> list[str]:
    """Weights, averages, optimiser, random state, step."""
    try:
        one, two = read_checkpoint(whole), read_checkpoint(ours)
    except CornetError as error:
        return [str(error)]
    parts = (
        "global_step",
        "epoch",
        "state_dict",
        "raw_weights",
        "optimizer_states",
        "lr_schedulers",
        "random_state",
    )
    unlike = [part for part in parts if not equal(one.get(part), two.get(part))]
    return [f"{whole.name}: {', '.join(unlike)}"] if unlike else []


def equal(one: Any, two: Any) -> bool:
    """To the last bit."""
    if isinstance(one, torch.Tensor) and isinstance(two, torch.Tensor):
        return one.dtype == two.dtype and torch.equal(one, two)
    if isinstance(one, dict) and isinstance(two, dict):
        return one.keys() == two.keys() and all(equal(one[key], two[key]) for key in one)
    if isinstance(one, (list, tuple)) and isinstance(two, (list, tuple)):
        return len(one) == len(two) and all(map(equal, one, two))
    return type(one) is type(two) and (one == two or (one != one and two != two))


def rows_of(path: Path, times: tuple[str, ...] = ()) -> list[dict[str, str]]:
    """A table's rows as text, without the columns of times; none where it is not there."""
    if not path.is_file():
        return []
    with open(path, newline="") as file:
        rows = list(csv.DictReader(file))
    return [{k: v for k, v in row.items() if v and not str(k).startswith(times or ("\n",))} for row in rows]


def first_difference(whole: list[dict[str, str]], ours: list[dict[str, str]]) -> str:
    for number, (one, two) in enumerate(zip(whole, ours, strict=False)):
        for key in sorted({*one, *two}):
            if one.get(key) != two.get(key):
                return f"row {number}, {key}: {one.get(key)} and {two.get(key)}"
    return f"{len(whole)} rows and {len(ours)}"


def doubled(run: Path) -> list[str]:
    """Rows that are there more than once."""
    steps = Counter(row.get("step") for row in rows_of(run / "metrics.csv"))
    scores = Counter(
        (r.get("step"), r.get("benchmark"), r.get("weights")) for r in rows_of(run / "scores.csv")
    )
    return [f"metrics.csv: step {step}" for step, count in steps.items() if count > 1] + [
        f"scores.csv: {key}" for key, count in scores.items() if count > 1
    ]


def trained_steps(run: Path) -> int:
    """How many steps metrics.jsonl tells of; 0 where there is none."""
    try:
        rows = Journal(run / "metrics.jsonl").read()
        return max((row["step"] + 1 for row in rows if "train/loss" in row), default=0)
    except (CornetError, KeyError):
        return 0


def good_checkpoint(run: Path) -> int:
    """The step of the checkpoint from which a next session goes on; 0 for none."""
    for name in ("last", "previous"):
        path = run / "checkpoints" / f"{name}.ckpt"
        if path.is_file():
            try:
                return int(read_checkpoint(path)["global_step"])
            except (CornetError, KeyError):
                continue
    return 0


def leftovers(run: Path, cache: Path) -> dict[str, list[str]]:
    """Files written aside that nobody renamed, checkpoints that only a resume needs, damaged ones, held locks."""
    aside = re.compile(r"\.tmp$|^\.run_id")
    files = [p for p in run.rglob("*") if p.is_file()]
    return {
        "aside in the run": sorted(str(p.relative_to(run)) for p in files if aside.search(p.name)),
        "aside in the cache": sorted(
            str(p.relative_to(cache)) for p in cache.rglob("*") if aside.search(p.name)
        ),
        "previous.ckpt": [str(p.relative_to(run)) for p in files if p.name == "previous.ckpt"],
        "damaged.ckpt": [str(p.relative_to(run)) for p in files if p.name == "damaged.ckpt"],
        "owner in the lock": [p.name for p in files if p.name == ".lock" and p.stat().st_size],
    }


def size_of(folder: Path) -> int:
    """Bytes of all files below."""
    total = 0
    for path in folder.rglob("*"):
        try:
            total += os.lstat(path).st_size if path.is_file() else 0
        except OSError:
            continue
    return total

"""Find and read runs that differ only in their seed, and check that they do."""

import json
import re
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from cornet.errors import CornetError
from cornet.old_names import with_current_names
from cornet.opening import read_bytes
from cornet.report.run.data import is_int, read_metrics, read_scores
from cornet.runs.config import flat, read_config

__all__ = [
    "LeftOut",
    "SeedRun",
    "check_same",
    "differing_versions",
    "find_seeds",
    "folders_below",
    "open_runs",
    "seed_folders",
]

_NAME = re.compile(r"seed(-?\d+)")  # does not match renamed folders such as seed0.old1
_MACHINE = ("platform", "cpu", "cpus", "continued_with")
_MISSING = object()


class SeedRun(NamedTuple):
    """A finished run. summary: its finished.json. metrics, scores: its tables; None: missing."""

    seed: int
    path: Path
    summary: Mapping[str, Any]
    identity: Mapping[str, Any]
    versions: Mapping[str, Any]
    metrics: pd.DataFrame | None
    scores: pd.DataFrame | None


class LeftOut(NamedTuple):
    """A run that is left out of a page, and the reason."""

    path: Path
    why: str


def seed_folders(folder: Path | str) -> list[Path]:
    """Return the runs' folders seed<k> in a folder, sorted by k."""
    folders = [
        (int(match[1]), path)
        for path in Path(folder).glob("seed*")
        if (match := _NAME.fullmatch(path.name)) and _is_run(path)
    ]
    return [path for _, path in sorted(folders)]


def folders_below(path: Path, levels: int) -> list[Path]:
    """Return the folder itself and those below it, sorted by level and name."""
    below = [entry for level in range(levels) for entry in sorted(path.glob("*" + "/*" * level))]
    return [path, *(entry for entry in below if entry.is_dir())]


def find_seeds(path: Path | str) -> Path | None:
    """Find the folder with several seeds: the given one, or the only one with runs below it. Return None otherwise."""
    path = Path(path).expanduser()
    if not path.is_dir() or _is_run(path):
        return None
    if len(seed_folders(path)) > 1:
        return path
    parents = [
        folder for folder in folders_below(path, 2) if ".old" not in folder.name and seed_folders(folder)
    ]
    return parents[0] if len(parents) == 1 and len(seed_folders(parents[0])) > 1 else None


def open_runs(paths: Sequence[Path]) -> tuple[list[SeedRun], list[LeftOut]]:
    """Read the finished runs, sorted by seed. Unfinished and damaged runs are returned with the reason."""
    runs, left_out = [], []
    for path in paths:
        try:
            runs.append(_open(path))
        except CornetError as error:
            left_out.append(LeftOut(path, str(error)))
    return sorted(runs, key=lambda run: run.seed), left_out


def check_same(runs: Sequence[SeedRun]) -> None:
    """Raise CornetError if two runs have the same seed, or their configurations differ in another key.

    Keys whose values are the seeds (loader.seed) may differ. Names, folders, devices and logging are not part of the
    identity and not compared (`cornet.runs.path.IGNORED`). runs: sorted by seed.
    """
    for first, other in pairwise(runs):
        if first.seed == other.seed:
            raise CornetError(
                f"{first.path} and {other.path} have the same seed, {first.seed}, but each seed counts once; leave out "
                "one of them."
            )
    for other in runs[1:]:
        first = runs[0]
        a, b = dict(flat(first.identity)), dict(flat(other.identity))
        for key in dict.fromkeys([*a, *b]):
            values = a.get(key, _MISSING), b.get(key, _MISSING)
            if values[0] == values[1] or (all(map(is_int, values)) and values == (first.seed, other.seed)):
                continue
            raise CornetError(
                f"{first.path} and {other.path} differ in more than their seed: {key} is {_shown(values[0])} in the "
                f"first and {_shown(values[1])} in the second; name runs that differ only in their seed."
            )


def differing_versions(runs: Sequence[SeedRun]) -> list[str]:
    """Return the keys of versions.json (packages, commit, GPUs) that differ between runs."""
    keys = dict.fromkeys(key for run in runs for key in run.versions if key not in _MACHINE)
    by_key = {key: {json.dumps(run.versions.get(key), sort_keys=True) for run in runs} for key in keys}
    return [key for key, values in by_key.items() if len(values) > 1]


def _open(path: Path) -> SeedRun:
    if not path.is_dir():
        raise CornetError("it has not started")
    summary = _json(path / "finished.json")
    if summary is None:
        raise CornetError("it is not finished")
    identity = with_current_names(_json(path / "identity.json"))
    if identity is None:
        raise CornetError("it has no identity.json to compare its configuration")
    metrics, scores = read_metrics(path), read_scores(path)
    if metrics is None and scores is None:
        raise CornetError("it has no metrics.csv and no scores.csv with numbers")
    return SeedRun(_seed(path), path, summary, identity, _json(path / "versions.json") or {}, metrics, scores)


def _is_run(path: Path) -> bool:
    names = ("identity.json", "finished.json", "metrics.csv", "scores.csv")
    return any((path / name).is_file() for name in names)


def _seed(path: Path) -> int:
    """Return the seed from the configuration, or from the folder's name, which a user may have changed."""
    try:
        seed = read_config(path / "config.yaml").get("seed")
    except (FileNotFoundError, CornetError):
        seed = None
    if is_int(seed):
        return seed
    if match := _NAME.fullmatch(path.absolute().name):
        return int(match[1])
    raise CornetError("neither its config.yaml nor its name gives its seed")


def _json(path: Path) -> dict[str, Any] | None:
    """Read a JSON file. Return None if it is missing. Raises CornetError if it is damaged."""
    try:
        content = json.loads(read_bytes(path))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, RecursionError) as error:
        raise CornetError(f"its {path.name} cannot be read ({error})") from None
    if not isinstance(content, dict):
        raise CornetError(f"its {path.name} is damaged")
    return content


def _shown(value: Any) -> str:
    if value is _MISSING:
        return "missing"
    text = json.dumps(value)
    return text if len(text) <= 60 else f"{text[:57]}..."

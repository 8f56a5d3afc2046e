"""Runs that differ in nothing but their seed: where they are, what they hold, and whether they are such runs."""

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
    "find_seeds",
    "folders_below",
    "open_runs",
    "other_versions",
    "seed_folders",
]

_NAME = re.compile(r"seed(-?\d+)")  # without those moved aside, seed0.old1
_MACHINE = ("platform", "cpu", "cpus", "continued_with")
_ABSENT = object()


class SeedRun(NamedTuple):
    """A finished run. summary: its finished.json; metrics, scores: its tables, None where there is none."""

    seed: int
    path: Path
    summary: Mapping[str, Any]
    identity: Mapping[str, Any]
    versions: Mapping[str, Any]
    metrics: pd.DataFrame | None
    scores: pd.DataFrame | None


class LeftOut(NamedTuple):
    """A run that is not averaged in, and why."""

    path: Path
    why: str


def seed_folders(folder: Path | str) -> list[Path]:
    """The folders seed<k> of runs that a folder holds, by k; those moved aside are left out."""
    found = [
        (int(match[1]), path)
        for path in Path(folder).glob("seed*")
        if (match := _NAME.fullmatch(path.name)) and _is_run(path)
    ]
    return [path for _, path in sorted(found)]


def folders_below(path: Path, levels: int) -> list[Path]:
    """The folder itself and those below it, by level and name."""
    below = [one for level in range(levels) for one in sorted(path.glob("*" + "/*" * level))]
    return [path, *(one for one in below if one.is_dir())]


def find_seeds(path: Path | str) -> Path | None:
    """The folder that holds several seeds: the one named, or the only one with runs below it. None: missing."""
    path = Path(path).expanduser()
    if not path.is_dir() or _is_run(path):
        return None
    if len(seed_folders(path)) > 1:
        return path
    holding = [place for place in folders_below(path, 2) if ".old" not in place.name and seed_folders(place)]
    return holding[0] if len(holding) == 1 and len(seed_folders(holding[0])) > 1 else None


def open_runs(paths: Sequence[Path]) -> tuple[list[SeedRun], list[LeftOut]]:
    """The finished ones by seed, and the others with what keeps them out: not finished, or damaged."""
    runs, left_out = [], []
    for path in paths:
        try:
            runs.append(_open(path))
        except CornetError as error:
            left_out.append(LeftOut(path, str(error)))
    return sorted(runs, key=lambda run: run.seed), left_out


def check_same(runs: Sequence[SeedRun]) -> None:
    """Raise CornetError for two runs of one seed, and for two whose configurations differ in anything else.

    What differs as the seeds do (loader.seed) is the seed. Names, folders, devices and logging are not compared: they
    make no other run (`cornet.runs.path.IGNORED`).
    """
    for first, other in pairwise(runs):
        if first.seed == other.seed:
            raise CornetError(
                f"{first.path} and {other.path} have the same seed, {first.seed}, and seeds are counted once; leave "
                "out one of them."
            )
    for other in runs[1:]:
        first = runs[0]
        one, two = dict(flat(first.identity)), dict(flat(other.identity))
        for key in dict.fromkeys([*one, *two]):
            held = one.get(key, _ABSENT), two.get(key, _ABSENT)
            if held[0] == held[1] or (all(map(is_int, held)) and held == (first.seed, other.seed)):
                continue
            raise CornetError(
                f"{first.path} and {other.path} differ in more than their seed: {key} is {_shown(held[0])} in the one "
                f"and {_shown(held[1])} in the other; name runs that differ in nothing else."
            )


def other_versions(runs: Sequence[SeedRun]) -> list[str]:
    """What of packages, commit and GPUs is not the same in all runs."""
    keys = dict.fromkeys(key for run in runs for key in run.versions if key not in _MACHINE)
    told = {key: {json.dumps(run.versions.get(key), sort_keys=True) for run in runs} for key in keys}
    return [key for key, values in told.items() if len(values) > 1]


def _open(path: Path) -> SeedRun:
    if not path.is_dir():
        raise CornetError("it has not begun")
    summary = _json(path / "finished.json")
    if summary is None:
        raise CornetError("it is not finished")
    identity = with_current_names(_json(path / "identity.json"))
    if identity is None:
        raise CornetError("it has no identity.json, so that it is not known whether it is the same run")
    metrics, scores = read_metrics(path), read_scores(path)
    if metrics is None and scores is None:
        raise CornetError("it has no metrics.csv and no scores.csv with numbers")
    return SeedRun(_seed(path), path, summary, identity, _json(path / "versions.json") or {}, metrics, scores)


def _is_run(path: Path) -> bool:
    names = ("identity.json", "finished.json", "metrics.csv", "scores.csv")
    return any((path / name).is_file() for name in names)


def _seed(path: Path) -> int:
    """As the configuration tells it; the folder may have been renamed."""
    try:
        seed = read_config(path / "config.yaml").get("seed")
    except (FileNotFoundError, CornetError):
        seed = None
    if is_int(seed):
        return seed
    if match := _NAME.fullmatch(path.absolute().name):
        return int(match[1])
    raise CornetError("neither its config.yaml nor its name tells its seed")


def _json(path: Path) -> dict[str, Any] | None:
    """None where the file is absent; raises CornetError where it is damaged."""
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
    if value is _ABSENT:
        return "absent"
    text = json.dumps(value)
    return text if len(text) <= 60 else f"{text[:57]}..."

"""Two runs of one configuration: where weights, metrics, scores and versions differ."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from cornet.errors import CornetError
from cornet.models.safe_load import read_checkpoint
from cornet.runs.folder import RunFolder
from cornet.runs.metrics import read_metrics
from cornet.runs.score_tables import NUMBER, SCORES, read_scores

__all__ = ["Difference", "Rerun", "compare_results", "compare_versions"]

TIMES = ("speed/", "train/images_per_second", "brain/seconds")
"""Metrics that tell how long something took: no two runs have the same."""

MADE_OF = ("seconds", "seed", "images", "commit", "versions", "config")
"""Columns of scores that are no result."""


@dataclass(frozen=True)
class Difference:
    """What was compared, and how it differs; same: not by a bit."""

    what: str
    same: bool
    told: str


@dataclass(frozen=True)
class Rerun:
    """Two runs of one configuration. made_with: what differs, then and now."""

    first: Path
    second: Path
    results: list[Difference]
    made_with: dict[str, tuple[str, str]]

    @property
    def same(self) -> bool:
        """Whether weights, metrics and scores are the same to the last bit."""
        return all(one.same for one in self.results)


def compare_results(one: Path, two: Path) -> list[Difference]:
    """The last weights, metrics.csv and, where one has it, scores.csv of two finished runs.

    Raises CornetError for files that are missing or damaged.
    """
    found = [weights(one, two), metrics(one, two)]
    if (one / "scores.csv").exists() or (two / "scores.csv").exists():
        found.append(scores(one, two))
    return found


def compare_versions(one: Path, two: Path) -> dict[str, tuple[str, str]]:
    """What two runs were made with, where that differs: packages, commit, machine, threads, ranks, images.

    A run that was continued with other versions has them all, with an arrow between.
    """
    here, there = made_with(one), made_with(two)
    keys = list(dict.fromkeys([*here, *there]))
    pairs = {key: (here.get(key, "unknown"), there.get(key, "unknown")) for key in keys}
    return {key: pair for key, pair in pairs.items() if pair[0] != pair[1]}


def made_with(folder: Path) -> dict[str, str]:
    """Versions and images of a run, as text."""
    read = RunFolder(folder).read
    versions, images = read("versions.json") or {}, read("images.json") or {}
    sessions = [versions, *versions.pop("continued_with", [])]
    made = {
        key: " -> ".join(dict.fromkeys(str(session.get(key)) for session in sessions)) for key in versions
    }
    known = [images.get("fingerprint", "unknown"), *images.get("continued_with", [])]
    return {**made, "images": " -> ".join(known)}


def weights(one: Path, two: Path) -> Difference:
    """Of last.ckpt: the largest difference, and that of all weights together relative to their norm."""
    states = [read_checkpoint(RunFolder(run).checkpoint("last")).get("state_dict") for run in (one, two)]
    if not all(isinstance(state, dict) for state in states):
        raise CornetError(f"{one} or {two} has a last.ckpt without weights; train that run again.")
    ours, theirs = ({str(k): v for k, v in state.items()} for state in states if state is not None)
    if {k: v.shape for k, v in ours.items()} != {k: v.shape for k, v in theirs.items()}:
        return Difference("weights", False, "they are of different networks")
    if all(torch.equal(ours[key], theirs[key]) for key in ours):
        count = sum(v.numel() for v in ours.values())
        return Difference("weights", True, f"{count:,} numbers, the same bit for bit")
    flat, other = (
        torch.cat([v.double().flatten() for v in state.values() if v.is_floating_point()])
        for state in (ours, theirs)
    )
    largest, relative = float((flat - other).abs().max()), float((flat - other).norm() / flat.norm())
    return Difference(
        "weights", False, f"by at most {largest:.3g}; all together by {relative:.2%} of their norm"
    )


def metrics(one: Path, two: Path) -> Difference:
    tables = (read_metrics(run) for run in (one, two))
    ours, theirs = (table[[name for name in table if not name.startswith(TIMES)]] for table in tables)
    return compare_tables("metrics.csv", ours, theirs, keys=("epoch", "step"))


def scores(one: Path, two: Path) -> Difference:
    columns = [name for name, kind in SCORES.items() if kind == NUMBER and name not in MADE_OF]
    ours, theirs = (read_scores(run)[["benchmark", *columns]] for run in (one, two))
    return compare_tables("scores.csv", ours, theirs, keys=("epoch", "step", "benchmark"))


def compare_tables(name: str, one: pd.DataFrame, two: pd.DataFrame, keys: Sequence[str]) -> Difference:
    """Tables of numbers with the same rows: the columns that differ most, and the last value of those."""
    if list(one) != list(two):
        only = sorted({*one} ^ {*two})
        return Difference(name, False, f"one of them alone has {', '.join(map(str, only[:3]))}")
    if len(one) != len(two) or not one[list(keys)].equals(two[list(keys)]):
        return Difference(name, False, f"{len(one)} and {len(two)} rows, of other steps")
    if one.equals(two):
        return Difference(name, True, f"{len(one):,} rows, the same bit for bit")
    apart = {}
    for column in one:
        if column not in keys and not one[column].equals(two[column]):
            apart[str(column)] = largest_difference(one[column], two[column])
    most = sorted(apart, key=lambda column: -apart[column])[:3]
    return Difference(name, False, ", ".join(f"{column} by at most {apart[column]:.3g}" for column in most))


def largest_difference(one: pd.Series, two: pd.Series) -> float:
    """NaN on one side alone counts as infinitely much."""
    ours, theirs = one.to_numpy(float), two.to_numpy(float)
    if (np.isnan(ours) != np.isnan(theirs)).any():
        return np.inf
    with np.errstate(invalid="ignore"):
        return float(np.nanmax(np.where(ours == theirs, 0.0, np.abs(ours - theirs))))

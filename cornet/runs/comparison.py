"""Compare weights, metrics, scores and versions of two runs of one configuration."""

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
from cornet.runs.provenance import COLUMNS
from cornet.runs.score_tables import NUMBER, SCORES, read_scores

__all__ = ["Difference", "Rerun", "compare_results", "compare_versions"]

TIMES = ("speed/", "train/images_per_second", "brain/seconds")
"""Prefixes of metrics that measure time and differ between any two runs."""

PROVENANCE = ("seconds", *COLUMNS)
"""Columns of scores.csv that are not results."""


@dataclass(frozen=True)
class Difference:
    """The outcome of one comparison. what: the compared file or weights. same: equal bit for bit. text: details."""

    what: str
    same: bool
    text: str


@dataclass(frozen=True)
class Rerun:
    """The comparison of a run with its rerun. made_with: versions that differ, as {key: (first, second)}."""

    first: Path
    second: Path
    results: list[Difference]
    made_with: dict[str, tuple[str, str]]

    @property
    def same(self) -> bool:
        """Return whether weights, metrics and scores are equal bit for bit."""
        return all(result.same for result in self.results)


def compare_results(first: Path, second: Path) -> list[Difference]:
    """Compare last.ckpt, metrics.csv and, if either has it, scores.csv of two finished runs.

    Raises CornetError for files that are missing or damaged.
    """
    results = [compare_weights(first, second), compare_metrics(first, second)]
    if (first / "scores.csv").exists() or (second / "scores.csv").exists():
        results.append(compare_scores(first, second))
    return results


def compare_versions(first: Path, second: Path) -> dict[str, tuple[str, str]]:
    """Return {key: (first, second)} of the packages, commit, machine, threads, ranks and images that differ.

    A run that was resumed with other versions has all of them, joined by arrows.
    """
    a, b = read_provenance(first), read_provenance(second)
    keys = list(dict.fromkeys([*a, *b]))
    pairs = {key: (a.get(key, "unknown"), b.get(key, "unknown")) for key in keys}
    return {key: pair for key, pair in pairs.items() if pair[0] != pair[1]}


def read_provenance(folder: Path) -> dict[str, str]:
    """Read versions and images of a run as text."""
    read = RunFolder(folder).read
    versions, images = read("versions.json") or {}, read("images.json") or {}
    sessions = [versions, *versions.pop("continued_with", [])]
    joined = {
        key: " -> ".join(dict.fromkeys(str(session.get(key)) for session in sessions)) for key in versions
    }
    fingerprints = [images.get("fingerprint", "unknown"), *images.get("continued_with", [])]
    return {**joined, "images": " -> ".join(fingerprints)}


def compare_weights(first: Path, second: Path) -> Difference:
    """Compare last.ckpt: the largest difference, and the norm of the difference relative to that of the weights."""
    states = [read_checkpoint(RunFolder(run).checkpoint("last")).get("state_dict") for run in (first, second)]
    if not all(isinstance(state, dict) for state in states):
        raise CornetError(f"{first} or {second} has a last.ckpt without weights; train that run again.")
    a, b = ({str(k): v for k, v in state.items()} for state in states if state is not None)
    if {k: v.shape for k, v in a.items()} != {k: v.shape for k, v in b.items()}:
        return Difference("weights", False, "they belong to different networks")
    if all(torch.equal(a[key], b[key]) for key in a):
        count = sum(v.numel() for v in a.values())
        return Difference("weights", True, f"{count:,} numbers, equal bit for bit")
    flat_a, flat_b = (
        torch.cat([v.double().flatten() for v in state.values() if v.is_floating_point()]) for state in (a, b)
    )
    largest = float((flat_a - flat_b).abs().max())
    relative = float((flat_a - flat_b).norm() / flat_a.norm())
    return Difference("weights", False, f"by at most {largest:.3g}; overall by {relative:.2%} of their norm")


def compare_metrics(first: Path, second: Path) -> Difference:
    tables = (read_metrics(run) for run in (first, second))
    a, b = (table[[name for name in table if not name.startswith(TIMES)]] for table in tables)
    return compare_tables("metrics.csv", a, b, keys=("epoch", "step"))


def compare_scores(first: Path, second: Path) -> Difference:
    columns = [name for name, kind in SCORES.items() if kind == NUMBER and name not in PROVENANCE]
    a, b = (read_scores(run)[["benchmark", *columns]] for run in (first, second))
    return compare_tables("scores.csv", a, b, keys=("epoch", "step", "benchmark"))


def compare_tables(name: str, a: pd.DataFrame, b: pd.DataFrame, keys: Sequence[str]) -> Difference:
    """Compare two tables of numbers and name up to three columns that differ most. keys: columns that name a row."""
    if list(a) != list(b):
        only = sorted({*a} ^ {*b})
        return Difference(name, False, f"only one of them has {', '.join(map(str, only[:3]))}")
    if len(a) != len(b) or not a[list(keys)].equals(b[list(keys)]):
        return Difference(name, False, f"{len(a)} and {len(b)} rows, at different steps")
    if a.equals(b):
        return Difference(name, True, f"{len(a):,} rows, equal bit for bit")
    differences = {}
    for column in a:
        if column not in keys and not a[column].equals(b[column]):
            differences[str(column)] = largest_difference(a[column], b[column])
    largest = sorted(differences, key=lambda column: -differences[column])[:3]
    return Difference(
        name, False, ", ".join(f"{column} by at most {differences[column]:.3g}" for column in largest)
    )


def largest_difference(a: pd.Series, b: pd.Series) -> float:
    """Return the largest absolute difference; infinity if only one side has a NaN."""
    x, y = a.to_numpy(float), b.to_numpy(float)
    if (np.isnan(x) != np.isnan(y)).any():
        return np.inf
    with np.errstate(invalid="ignore"):
        return float(np.nanmax(np.where(x == y, 0.0, np.abs(x - y))))

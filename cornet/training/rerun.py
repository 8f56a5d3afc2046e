"""A finished run, trained once more from what it recorded, and what differs then: weights, metrics, scores."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from cornet.errors import CornetError
from cornet.instantiate import find_own_modules
from cornet.models.safe_load import read_checkpoint
from cornet.runs.config import check_recorded, entries, moved_to_new_folder
from cornet.runs.folder import RunFolder
from cornet.runs.metrics import read_metrics
from cornet.runs.tables import NUMBER, SCORES, read_scores
from cornet.training.ranks import find_ranks
from cornet.training.resume import RECORD, check_start
from cornet.training.run import UNFIT, run
from cornet.training.secrets import MASK

__all__ = ["Difference", "Rerun", "compare_results", "compare_versions", "rerun"]

MOST_THREADS = 1024

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


def rerun(folder: Path, target: Path | None = None, trust: bool = False) -> Rerun | None:
    """Train a finished run again from the configuration that it recorded, and compare the two.

    target: where; None: beside it, seed0.rerun for seed0. One that was stopped there goes on. It computes with as many
    threads as the first did, and is logged to files only. Paths of data are as recorded, so relative ones hold from
    the same folder. Started by torchrun, it is repeated on as many ranks. Returns None on ranks other than 0.
    trust: build whatever the configuration names; without, only what `cornet.runs.config` lists.

    Raises CornetError for a folder without a finished run, for one that halving stopped early, for a configuration
    that is not whole or not allowed, for a run that began from a checkpoint that has changed since, for a target with
    symbolic links, and as `cornet.training.run.run` does.
    """
    first = RunFolder(folder)
    if first.finished is None:
        raise CornetError(f"{folder} holds no finished run; finish it first, with the command that began it.")
    if first.finished.get("stopped_early"):
        raise CornetError(
            f"{folder} was stopped early by halving, which cannot be repeated; name another run."
        )
    check_whole(first)
    if trust:
        find_own_modules()
    check_recorded(first.config, str(folder / "config.yaml"), trust)
    config = moved_to_new_folder(first.config)
    check_start(folder, config.get("ckpt_path"), first.read(RECORD))
    second = folder.with_name(f"{folder.name}.rerun") if target is None else target
    check_no_links(second)
    threads = (first.read("versions.json") or {}).get("threads")
    if type(threads) is int and 0 < threads <= MOST_THREADS:
        torch.set_num_threads(threads)
    if find_ranks().world > 1 and "strategy" not in config["trainer"]:
        raise CornetError(f"{folder} was trained by one process; repeat it without torchrun.")
    try:
        outcome = run(OmegaConf.create(config), folder=second)
    except (OmegaConfBaseException, *UNFIT) as error:
        if trust:  # an error of the user's own class
            raise
        reason = " ".join(f"{type(error).__name__}: {error}".split())[:200]
        raise CornetError(f"{folder / 'config.yaml'} cannot be run ({reason}); restore it.") from error
    if outcome is None:
        return None
    return Rerun(folder, second, compare_results(folder, second), compare_versions(folder, second))


def check_whole(run: RunFolder) -> None:
    """Raise CornetError where something was left out when the configuration was written down."""
    used = {key: value for key, value in run.config.items() if key != "logger"}
    if lacking := [key for key, value in entries(used) if isinstance(value, str) and MASK in value]:
        raise CornetError(
            f"{run.path} did not record {lacking[0]}, which holds a secret; begin the run again by its own command, "
            "with another name=."
        )


def check_no_links(folder: Path) -> None:
    """Raise CornetError where a folder is or holds a symbolic link, through which a run would write elsewhere."""
    for path in (folder, *sorted(folder.rglob("*"))):
        if path.is_symlink():
            raise CornetError(f"{path} is a symbolic link; remove it, or name another folder with --to.")


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

"""The points of a panel: accuracy and one brain score of runs, of their epochs, or of published networks."""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from cornet.errors import CornetError
from cornet.report.curves import label, task_metric
from cornet.report.model_names import short_names
from cornet.report.run.data import by_epoch, is_int
from cornet.report.run.page import find_run_folder
from cornet.report.seeds.measures import Measure, brain_measures, check_benchmarks, plain_measures
from cornet.report.seeds.seed_runs import LeftOut, SeedRun, open_runs
from cornet.report.style import epoch_text
from cornet.report.sweep.changes import FEW
from cornet.report.sweep.keys import find_factors, identity_key, own_identity
from cornet.report.sweep.variants import run_folders
from cornet.runs.config import flat, read_config

__all__ = ["Panel", "Point", "Runs", "find_runs", "read_runs"]

HARMONISATION = "Harmonisation"
"""Class of the loss of a harmonised network (Fel, Rodriguez, Linsley & Serre 2022)."""

_TOP1 = re.compile(r"val/(\w+_)?top1")


@dataclass(frozen=True)
class Point:
    """A network with its accuracy, a fraction of images, and its score.

    variant: points of one variant depend on each other. run: points of one run are its epochs. epoch: NaN if unknown.
    """

    name: str
    variant: str
    run: str
    accuracy: float
    score: float
    epoch: float = math.nan
    harmonised: bool = False

    @property
    def title(self) -> str:
        """Its name and epoch."""
        return self.name + (f", epoch {epoch_text(self.epoch)}" if math.isfinite(self.epoch) else "")


@dataclass(frozen=True)
class Panel:
    """All points of a score. title: the score's name. scale, region: of it. kind: "runs" or "published"."""

    title: str
    points: tuple[Point, ...]
    kind: str
    accuracy: str
    scale: str = ""
    region: str = ""
    simulated: bool = False

    @property
    def fitted(self) -> list[Point]:
        """The points that the line is fitted to."""
        return [one for one in self.points if not one.harmonised]

    @property
    def harmonised(self) -> list[Point]:
        return [one for one in self.points if one.harmonised]


@dataclass(frozen=True)
class Runs:
    """The panels of runs. left_out: runs without the numbers, and why. notes: for the reader. scores: all names."""

    panels: tuple[Panel, ...]
    left_out: tuple[LeftOut, ...]
    notes: tuple[str, ...]
    scores: tuple[str, ...]
    variants: int
    count: int


@dataclass(frozen=True)
class _Read:
    """A run's accuracy and scores by epochs completed. images: what it was trained on."""

    name: str
    variant: str
    images: str
    harmonised: bool
    accuracy: pd.Series
    scores: Mapping[str, Measure] = field(default_factory=dict)


def find_runs(paths: Sequence[Path]) -> list[Path]:
    """Return the folder of each run once: a run's own folder, or all runs of a sweep or of several seeds.

    Raises CornetError if a folder is missing or contains no run.
    """
    folders: dict[Path, Path] = {}
    for path in (Path(one).expanduser() for one in paths):
        several = run_folders(path) if path.is_dir() else []
        for folder in several or [find_run_folder(path)]:
            folders.setdefault(folder.resolve(), folder)
    return list(folders.values())


def read_runs(folders: Sequence[Path], epochs: bool = False) -> Runs:
    """Read accuracy and scores of finished runs.

    epochs: a point for every epoch with both numbers; else only for the last evaluation of a run. Runs without an
    accuracy or a score, unfinished and damaged ones are left out. Raises CornetError if a benchmark differs between
    runs in data, version, metric, scale or splits.
    """
    opened, left_out = open_runs(folders)
    opened = [
        run._replace(identity=own_identity(run)) for run in sorted(opened, key=lambda run: str(run.path))
    ]
    names = _names(opened)
    runs: list[_Read] = []
    tables: dict[str, pd.DataFrame] = {}
    for run in opened:
        try:
            runs.append(_read(run, names[str(run.path)]))
        except CornetError as error:
            left_out.append(LeftOut(run.path, str(error)))
        else:
            assert run.scores is not None
            tables[names[str(run.path)]] = run.scores
    check_benchmarks(tables)
    variants = {key: str(k) for k, key in enumerate(dict.fromkeys(one.variant for one in runs), 1)}
    measures = {name: one for run in runs for name, one in run.scores.items()}
    panels = []
    for name, measure in measures.items():
        points = [point for run in runs for point in _points(run, name, epochs, variants)]
        panels.append(
            Panel(
                title=name,
                points=tuple(points),
                kind="runs",
                accuracy="top-1 of runs",
                scale=measure.scale,
                region=measure.region,
                simulated=any(run.scores[name].simulated for run in runs if name in run.scores),
            )
        )
    notes = _notes(runs)
    return Runs(tuple(panels), tuple(left_out), tuple(notes), tuple(measures), len(variants), len(runs))


def _names(runs: Sequence[SeedRun]) -> dict[str, str]:
    """Return {path: a short name}: the factors and the seed, if few factors tell all runs apart, else the path."""
    first = {identity_key(run): run for run in reversed(runs)}
    factors = find_factors(list(first.values())) if len(first) > 1 else ()
    factors = tuple(one for one in factors if not one.key.endswith("_target_")) or factors
    if 0 < len(factors) <= FEW:
        named = {}
        for run in runs:
            entries = dict(flat(run.identity))
            label = ", ".join(f"{one.name} {one.text(entries.get(one.key))}" for one in factors)
            named[str(run.path)] = f"{label}, seed {run.seed}"
        if len(set(named.values())) == len(named):
            return named
    return short_names([str(run.path) for run in runs])


def _read(run: SeedRun, name: str) -> _Read:
    if run.summary.get("stopped_early") not in (None, False):
        raise CornetError("it was stopped early, so its last scores are not of a full training")
    accuracy = _accuracy(run)
    if accuracy.empty:
        metric = task_metric(run.summary)
        also = "" if _TOP1.fullmatch(metric) else f": its metric is {label(metric)}"
        raise CornetError(f"it has no accuracy{also}")
    scores = {one.label: one for one in brain_measures([run])}
    if not scores:
        raise CornetError("it has no brain scores")
    facts = [str(run.summary.get(key)) for key in ("data", "classes") if key in run.summary]
    return _Read(name, identity_key(run), ", ".join(facts), _is_harmonised(run.path), accuracy, scores)


def _accuracy(run: SeedRun) -> pd.Series:
    """Return top-1 of the task by epochs completed: that beside the scores, else that of metrics.csv."""
    metric = task_metric(run.summary)
    if not _TOP1.fullmatch(metric):
        return pd.Series(dtype=float)
    found = next((one.curves[run.seed] for one in plain_measures([run]) if one.name == metric), None)
    logged = pd.Series(dtype=float) if found is None else found
    if run.scores is None:
        return logged.dropna()
    rows = run.scores[run.scores["task_metric"] == metric]
    beside = by_epoch(rows["epoch"], rows["task_value"])
    return beside.combine_first(logged).dropna()


def _is_harmonised(folder: Path) -> bool:
    """Return whether the recorded configuration has a harmonisation loss with a weight above 0."""
    try:
        losses = read_config(folder / "config.yaml").get("losses")
    except (OSError, CornetError):
        return False
    return any(map(_is_harmonisation, losses.values())) if isinstance(losses, Mapping) else False


def _is_harmonisation(loss: Any) -> bool:
    if not isinstance(loss, Mapping) or str(loss.get("_target_")).rpartition(".")[2] != HARMONISATION:
        return False
    weight = loss.get("weight", 1.0)  # 1 is the default of every loss
    return (isinstance(weight, float) or is_int(weight)) and weight > 0


def _points(run: _Read, score: str, epochs: bool, variants: Mapping[str, str]) -> list[Point]:
    if score not in run.scores:
        return []
    curve = run.scores[score].curves.iloc[:, 0]
    curve = curve if epochs else curve.iloc[-1:]
    both = pd.DataFrame({"accuracy": run.accuracy.reindex(curve.index), "score": curve})
    variant = variants[run.variant]
    return [
        Point(run.name, variant, run.name, float(accuracy), float(value), float(str(epoch)), run.harmonised)
        for epoch, accuracy, value in both.itertuples()
        if np.isfinite(accuracy) and np.isfinite(value)
    ]


def _notes(runs: Sequence[_Read]) -> list[str]:
    images = list(dict.fromkeys(run.images for run in runs))
    if len(images) < 2:
        return []
    return [
        f"the runs were trained on different images or classes ({'; '.join(images)}): their accuracies are of "
        "different tasks, and a common line means little"
    ]

"""Read a sweep and group its runs into variants, with factors, measures and cost."""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from cornet.brain.regions import in_order
from cornet.errors import CornetError
from cornet.names import is_old_or_rerun
from cornet.report.run.data import is_int
from cornet.report.run.network import describe_run
from cornet.report.seeds.measures import Measure, brain_measures, check_benchmarks, plain_measures
from cornet.report.seeds.seed_runs import (
    LeftOut,
    SeedRun,
    check_same,
    folders_below,
    open_runs,
    seed_folders,
)
from cornet.report.statistics import Estimate
from cornet.report.sweep.keys import Factor, find_factors, identity_key, own_identity
from cornet.runs.config import flat

__all__ = ["Cost", "Sweep", "Variant", "read_sweep", "run_folders"]

_AVERAGE = re.compile(r"brain/(simulated_)?average_\d{4}")


@dataclass(frozen=True)
class Cost:
    """macs: multiply-adds per image of the run's size. depth: layers on the longest path, each counted once; unrolled:
    as often as it runs. steps: total of all areas. seconds: of training, from its speed. NaN: unknown, see `note`."""

    parameters: float = math.nan
    macs: float = math.nan
    depth: float = math.nan
    unrolled: float = math.nan
    steps: float = math.nan
    seconds: float = math.nan
    note: str = ""


@dataclass(frozen=True, eq=False)
class Variant:
    """Runs that differ only in their seed.

    number: in tables and plots, from 1. values: {factor's key: value}. folders: of its runs. measures: {name: measure},
    the task's metric, those of its parts, and every brain score; empty if every run was stopped early. steps: of the
    areas from V1 on.
    stopped: {seed: epoch after which it was stopped early}.
    """

    number: int
    label: str
    values: Mapping[str, Any]
    folders: tuple[Path, ...]
    seeds: tuple[int, ...]
    measures: Mapping[str, Measure]
    network: str
    steps: tuple[int, ...]
    cost: Cost
    stopped: Mapping[int, Any]

    @property
    def seeds_text(self) -> str:
        """The number of seeds, such as 3, or 1 + 2 stopped."""
        return f"{len(self.seeds)}" + (f" + {len(self.stopped)} stopped" if self.stopped else "")

    def by_seed(self, measure: str) -> pd.Series:
        """Return a measure by seed: the task's metric at the best epoch, or the score of the last evaluation."""
        known = self.measures.get(measure)
        if known is None:
            return pd.Series(dtype=float)
        return known.best if known.is_task else known.last

    def estimate(self, measure: str) -> Estimate:
        """Return the estimate over seeds of a measure."""
        known = self.measures.get(measure)
        if known is None:
            return Estimate()
        return known.at_best if known.is_task else known.final


@dataclass(frozen=True, eq=False)
class Sweep:
    """The variants of a folder.

    measures: {name: the measure of one variant, as an example}, in the order of plots and tables. left_out: unfinished
    and damaged runs. notes: for the reader of the numbers.
    """

    folder: Path
    variants: tuple[Variant, ...]
    factors: tuple[Factor, ...]
    measures: Mapping[str, Measure]
    left_out: tuple[LeftOut, ...]
    notes: tuple[str, ...]

    @property
    def title(self) -> str:
        """Such as "Sweep name: 12 variants, 36 finished runs"."""
        runs = sum(len(one.folders) for one in self.variants)
        return f"Sweep {self.folder.absolute().name}: {len(self.variants)} variants, {runs} finished runs"

    @property
    def compared(self) -> list[str]:
        """The names of measures, without averages of other measures."""
        return [name for name, one in self.measures.items() if not _AVERAGE.match(one.name)]

    @property
    def simulated(self) -> list[str]:
        return [name for name, one in self.measures.items() if one.simulated]


def read_sweep(folder: Path | str) -> Sweep:
    """Read the finished runs below a folder and group them by variant.

    Raises CornetError if the folder is missing, there are fewer than two variants, a variant has two runs of one seed,
    or benchmarks differ between runs in version, data, metric, scale or splits and so cannot be compared.
    """
    folder = Path(folder).expanduser()
    if not folder.is_dir():
        raise CornetError(
            f"{folder} is not a folder; name the folder of a sweep, such as runs/objects-cornet_s."
        )
    paths = run_folders(folder)
    runs, left_out = open_runs(paths)
    runs = [run._replace(identity=own_identity(run)) for run in sorted(runs, key=lambda run: str(run.path))]
    groups: dict[str, list[SeedRun]] = {}
    for run in runs:
        groups.setdefault(identity_key(run), []).append(run)
    if len(groups) < 2:
        number = f"{len(groups) or 'no'} variant{'' if len(groups) == 1 else 's'}"
        what = f"contains {len(paths)} run{'' if len(paths) == 1 else 's'}, {len(runs)} finished, of {number}"
        hint = "train a sweep, or name the folder above; for several seeds of one variant use cornet report FOLDER"
        raise CornetError(f"{folder} {what}, and a sweep needs two: {hint}.")
    for several in groups.values():
        check_same(sorted(several, key=lambda run: run.seed))
    complete = [run for run in runs if run.scores is not None and not _stopped(run)]
    check_benchmarks({run.path.relative_to(folder).as_posix(): run.scores for run in complete})
    factors = find_factors([several[0] for several in groups.values()])

    def order(several: Sequence[SeedRun]) -> list[Any]:
        entries = dict(flat(several[0].identity))
        return [factor.order(entries.get(factor.key)) for factor in factors]

    variants = [
        _variant(number, sorted(several, key=lambda run: run.seed), factors)
        for number, several in enumerate(sorted(groups.values(), key=order), 1)
    ]
    measures = {name: one for variant in variants for name, one in variant.measures.items()}
    ordered = {name: measures[name] for name in sorted(measures, key=lambda name: _place(measures[name]))}
    if not ordered:
        raise CornetError(
            f"every finished run in {folder} was stopped early, and such runs are not included in means; train them to "
            "the end."
        )
    return Sweep(folder, tuple(variants), factors, ordered, tuple(left_out), tuple(_notes(variants)))


def run_folders(folder: Path) -> list[Path]:
    """Return the folders seed<k> of runs up to three levels below a folder, without renamed and repeated ones."""
    parents = [one for one in folders_below(folder, 3) if not is_old_or_rerun(one) and ".old" not in one.name]
    return [run for parent in parents for run in seed_folders(parent)]


def _stopped(run: SeedRun) -> bool:
    return run.summary.get("stopped_early") not in (None, False)


def _variant(number: int, runs: Sequence[SeedRun], factors: Sequence[Factor]) -> Variant:
    complete = [run for run in runs if not _stopped(run)]
    entries = dict(flat(runs[0].identity))
    values = {factor.key: entries.get(factor.key) for factor in factors}
    measures: list[Measure] = []
    if complete:
        measures += [
            one for one in plain_measures(complete) if one.is_task or one.of_part or one.name.count("/") > 1
        ]
        measures += brain_measures(complete)
    summary = runs[0].summary
    steps = summary.get("steps")
    return Variant(
        number=number,
        label=", ".join(f"{factor.name} {factor.text(values[factor.key])}" for factor in factors),
        values=values,
        folders=tuple(run.path for run in runs),
        seeds=tuple(run.seed for run in complete),
        measures={_display_name(one): one for one in measures},
        network=str((runs[0].identity.get("model") or {}).get("name", summary.get("network", ""))),
        steps=tuple(steps) if isinstance(steps, list) and all(map(is_int, steps)) else (),
        cost=_cost(runs),
        stopped={run.seed: run.summary["stopped_early"] for run in runs if _stopped(run)},
    )


def _display_name(one: Measure) -> str:
    """Return the name of a measure in tables and plots, marked if it is simulated."""
    if one.is_task:
        return f"best {one.label}"
    return f"simulated {one.label}" if one.simulated and "simulated" not in one.label else one.label


def _place(one: Measure) -> tuple[int, int]:
    """Return the sort key of a measure: the task's metric, its parts, the mean, regions from V1 on, averages."""
    if one.is_task or one.of_part:
        return 0, int(one.of_part)
    if one.name == "brain/mean":
        return 1, 0
    return (2, in_order(one.region)) if one.region else (3, 0)


def _cost(runs: Sequence[SeedRun]) -> Cost:
    """Return the cost of the first run; seconds are the mean over runs whose speed was measured."""
    run, summary = runs[0], runs[0].summary
    counted = float(summary["parameters"]) if is_int(summary.get("parameters")) else math.nan
    steps = summary.get("steps")
    total = float(sum(steps)) if isinstance(steps, list) and all(map(is_int, steps)) else math.nan
    seconds, data = _seconds(runs), run.identity.get("data") or {}
    try:
        known = describe_run(
            run.path / "identity.json", run.identity.get("model"), summary.get("classes"), data.get("size")
        )
    except CornetError as error:
        note = f"its cost is unknown: {str(error).rstrip('.')}"
        return Cost(parameters=counted, steps=total, seconds=seconds, note=note)
    counted = counted if math.isfinite(counted) else float(known.parameters)
    total = total if math.isfinite(total) else float(sum(known.steps.values()))
    layers, unrolled = map(float, known.depth or (math.nan, math.nan))
    return Cost(counted, float(known.macs), layers, unrolled, total, seconds)


def _seconds(runs: Sequence[SeedRun]) -> float:
    """Return the mean seconds of a full training, without validation and scoring; NaN if unknown."""
    seconds = []
    for run in runs:
        parts = [run.summary.get(key) for key in ("train_images", "epochs", "images_per_second")]
        images, epochs, speed = (float(one) if isinstance(one, int | float) else math.nan for one in parts)
        if images * epochs >= 0 and speed > 0:
            seconds.append(images * epochs / speed)
    return sum(seconds) / len(seconds) if seconds else math.nan


def _notes(variants: Sequence[Variant]) -> list[str]:
    notes = []
    single = [str(one.number) for one in variants if len(one.seeds) == 1]
    if single:
        notes.append(
            f"variant{'s' if len(single) > 1 else ''} {', '.join(single)}: a single seed has no interval"
        )
    for one in variants:
        if one.stopped:
            stopped = ", ".join(f"seed {seed} (epoch {epoch})" for seed, epoch in one.stopped.items())
            notes.append(f"variant {one.number}: stopped early and left out of the means: {stopped}")
        if one.cost.note:
            notes.append(f"variant {one.number}: {one.cost.note}")
        for name, measure in one.measures.items():
            texts = [measure.incomparable] if measure.incomparable else list(measure.notes)
            notes += [f"variant {one.number}, {name}: {text}" for text in texts]
    return notes

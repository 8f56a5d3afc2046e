"""The variants of a sweep: runs that differ in nothing but the seed, what they differ in, and what each costs."""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from cornet.errors import CornetError
from cornet.names import is_old_or_rerun
from cornet.report.run.data import is_int
from cornet.report.run.network import describe_run
from cornet.report.seeds.measures import Measure, brain_measures, not_alike, plain_measures
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

__all__ = ["Cost", "Sweep", "Variant", "read_sweep"]

ACCURACY = "val/top1"
_AVERAGE = re.compile(r"brain/(simulated_)?average_\d{4}")


@dataclass(frozen=True)
class Cost:
    """macs: multiply-adds per image of the run's size. depth: layers on the longest path, each once; unrolled: as often
    as it runs. steps: of all areas together. seconds: of training, by its speed. NaN: not known, for `note`."""

    parameters: float = math.nan
    macs: float = math.nan
    depth: float = math.nan
    unrolled: float = math.nan
    steps: float = math.nan
    seconds: float = math.nan
    note: str = ""


@dataclass(frozen=True, eq=False)
class Variant:
    """Runs that differ in nothing but their seed.

    number: in the tables and plots, from 1. values: of each factor, by its key. folders: of its runs.
    measures: best accuracy, then every brain score, by what they are called; empty where every run was stopped early.
    steps: of the areas from V1 on. stopped: epoch after which it was stopped early, by seed.
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
        """3, or 1 + 2 stopped."""
        return f"{len(self.seeds)}" + (f" + {len(self.stopped)} stopped" if self.stopped else "")

    def by_seed(self, measure: str) -> pd.Series:
        """The numbers of a measure: the accuracy of the best epoch, a score of the last evaluation; NaN stays."""
        found = self.measures.get(measure)
        if found is None:
            return pd.Series(dtype=float)
        return found.best if found.name == ACCURACY else found.last

    def estimate(self, measure: str) -> Estimate:
        """Over seeds."""
        found = self.measures.get(measure)
        if found is None:
            return Estimate()
        return found.at_best if found.name == ACCURACY else found.final


@dataclass(frozen=True, eq=False)
class Sweep:
    """The variants of a folder.

    measures: what all plots and tables have, by what it is called: an example of each. left_out: runs that are not
    finished, or damaged. notes: what a reader of all numbers must know.
    """

    folder: Path
    variants: tuple[Variant, ...]
    factors: tuple[Factor, ...]
    measures: Mapping[str, Measure]
    left_out: tuple[LeftOut, ...]
    notes: tuple[str, ...]

    @property
    def title(self) -> str:
        """The sweep, 12 variants, 36 runs."""
        runs = sum(len(one.folders) for one in self.variants)
        return f"Sweep {self.folder.absolute().name}: {len(self.variants)} variants, {runs} finished runs"

    @property
    def compared(self) -> list[str]:
        """The measures without averages that are made of the same scores."""
        return [name for name, one in self.measures.items() if not _AVERAGE.match(one.name)]

    @property
    def simulated(self) -> list[str]:
        return [name for name, one in self.measures.items() if one.simulated]


def read_sweep(folder: Path | str) -> Sweep:
    """The finished runs below a folder, by variant.

    Raises CornetError for no folder, fewer than two variants, two runs of one seed and variant, and runs whose
    benchmarks differ in version, data, metric, scale or splits: those are never averaged or compared.
    """
    folder = Path(folder).expanduser()
    if not folder.is_dir():
        raise CornetError(
            f"{folder} is no folder; name the folder of a sweep, such as runs/objects-cornet_s."
        )
    paths = _run_folders(folder)
    runs, left_out = open_runs(paths)
    runs = [run._replace(identity=own_identity(run)) for run in sorted(runs, key=lambda run: str(run.path))]
    groups: dict[str, list[SeedRun]] = {}
    for run in runs:
        groups.setdefault(identity_key(run), []).append(run)
    if len(groups) < 2:
        number = f"{len(groups) or 'no'} variant{'' if len(groups) == 1 else 's'}"
        what = f"holds {len(paths)} run{'' if len(paths) == 1 else 's'}, {len(runs)} finished, of {number}"
        hint = "train a sweep, or name the folder above; several seeds of one variant are for cornet report FOLDER"
        raise CornetError(f"{folder} {what}, and a sweep needs two: {hint}.")
    for several in groups.values():
        check_same(sorted(several, key=lambda run: run.seed))
    _check_benchmarks(folder, [run for run in runs if not _stopped(run)])
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
            f"every finished run in {folder} was stopped early, and such runs are no measure of their variants; train "
            "them to their end."
        )
    return Sweep(folder, tuple(variants), factors, ordered, tuple(left_out), tuple(_notes(variants)))


def _run_folders(folder: Path) -> list[Path]:
    places = [one for one in folders_below(folder, 3) if not is_old_or_rerun(one) and ".old" not in one.name]
    return [run for place in places for run in seed_folders(place)]


def _stopped(run: SeedRun) -> bool:
    return run.summary.get("stopped_early") not in (None, False)


def _check_benchmarks(folder: Path, runs: Sequence[SeedRun]) -> None:
    """Each run against the first that has the benchmark."""
    first: dict[str, tuple[str, pd.DataFrame]] = {}
    for run in runs:
        if run.scores is None:
            continue
        name = run.path.relative_to(folder).as_posix()
        for benchmark, rows in run.scores.groupby("benchmark", sort=False):
            rows = rows.set_index("epoch")
            other, held = first.setdefault(str(benchmark), (name, rows))
            if other != name and (why := not_alike({other: held, name: rows}, "run")):
                raise CornetError(
                    f"{benchmark} was not the same in all runs ({why}) and is never averaged so; "
                    "score the older ones anew, or move them to another folder."
                )
            if not held["value"].notna().any():  # failed there, which tells little of what it was
                first[str(benchmark)] = (name, rows)


def _variant(number: int, runs: Sequence[SeedRun], factors: Sequence[Factor]) -> Variant:
    kept = [run for run in runs if not _stopped(run)]
    entries = dict(flat(runs[0].identity))
    values = {factor.key: entries.get(factor.key) for factor in factors}
    found = (
        [one for one in plain_measures(kept) if one.name == ACCURACY] + brain_measures(kept) if kept else []
    )
    summary = runs[0].summary
    steps = summary.get("steps")
    return Variant(
        number=number,
        label=", ".join(f"{factor.name} {factor.text(values[factor.key])}" for factor in factors),
        values=values,
        folders=tuple(run.path for run in runs),
        seeds=tuple(run.seed for run in kept),
        measures={_called(one): one for one in found},
        network=str((runs[0].identity.get("model") or {}).get("name", summary.get("network", ""))),
        steps=tuple(steps) if isinstance(steps, list) and all(map(is_int, steps)) else (),
        cost=_cost(runs),
        stopped={run.seed: run.summary["stopped_early"] for run in runs if _stopped(run)},
    )


def _called(one: Measure) -> str:
    """Simulated scores are called so wherever their names stand."""
    if one.name == ACCURACY:
        return "best top-1"
    return f"simulated {one.label}" if one.simulated and "simulated" not in one.label else one.label


def _place(one: Measure) -> tuple[int, int]:
    """Accuracy, the mean, regions from V1 on, averages."""
    regions = ("V1", "V2", "V4", "IT", "behaviour")
    if one.name == ACCURACY:
        return 0, 0
    if one.name == "brain/mean":
        return 1, 0
    return (2, regions.index(one.region)) if one.region in regions else (3, 0)


def _cost(runs: Sequence[SeedRun]) -> Cost:
    """Of the first run; seconds are the mean over runs whose speed was measured."""
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
        note = f"what it costs is not known: {str(error).rstrip('.')}"
        return Cost(parameters=counted, steps=total, seconds=seconds, note=note)
    counted = counted if math.isfinite(counted) else float(known.parameters)
    total = total if math.isfinite(total) else float(sum(known.steps.values()))
    layers, unrolled = float(known.depth.layers), float(known.depth.unrolled)
    return Cost(counted, float(known.macs), layers, unrolled, total, seconds)


def _seconds(runs: Sequence[SeedRun]) -> float:
    """Of training to the end, without validation and scoring."""
    found = []
    for run in runs:
        parts = [run.summary.get(key) for key in ("train_images", "epochs", "images_per_second")]
        images, epochs, speed = (float(one) if isinstance(one, int | float) else math.nan for one in parts)
        if images * epochs >= 0 and speed > 0:
            found.append(images * epochs / speed)
    return sum(found) / len(found) if found else math.nan


def _notes(variants: Sequence[Variant]) -> list[str]:
    notes = []
    single = [str(one.number) for one in variants if len(one.seeds) == 1]
    if single:
        notes.append(
            f"variant{'s' if len(single) > 1 else ''} {', '.join(single)}: one seed alone has no interval"
        )
    for one in variants:
        if one.stopped:
            who = ", ".join(f"seed {seed} (epoch {epoch})" for seed, epoch in one.stopped.items())
            notes.append(f"variant {one.number}: stopped early and left out of the means: {who}")
        if one.cost.note:
            notes.append(f"variant {one.number}: {one.cost.note}")
        for name, measure in one.measures.items():
            told = [measure.apart] if measure.apart else list(measure.notes)
            notes += [f"variant {one.number}, {name}: {text}" for text in told]
    return notes

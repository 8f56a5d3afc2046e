"""What is averaged over seeds: each accuracy, loss and brain score, at every epoch, last, and at its best."""

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from cornet.report.run.closing import label
from cornet.report.run.data import by_epoch, latest
from cornet.report.seeds.seed_runs import SeedRun
from cornet.report.statistics import Estimate, mean_interval

__all__ = ["Measure", "brain_measures", "not_alike", "plain_measures"]

COMPARED = ("version", "scale", "metric", "split_rule", "brain_data")
"""Columns of scores.csv that must be the same in all seeds for a benchmark's values to be averaged."""

NEAR = 1e-6
"""Ceilings that differ by more than this share of themselves are different ones."""

_COMPOSITE = re.compile(r"brain/(mean|(simulated_)?average_\d{4})")


@dataclass(frozen=True, eq=False, kw_only=True)
class Measure:
    """One number of each seed, epoch by epoch.

    name: as it is logged (val/top1, brain/simulated.IT). kind: accuracy, loss or brain.
    curves: value by epochs completed (rows; 0: before training) and seed (columns); NaN: none was had there.
    last: by seed, the value of the last evaluation. best: that of the epoch whose checkpoint is kept as the best, by
        `monitor` (accuracies, losses: best.ckpt) or `brain.monitor` (brain scores: best_brain.ckpt).
    apart: why the seeds' values are not to be averaged; "" where they are.
    notes: what a reader must know, as that a seed has no value.
    """

    name: str
    label: str
    kind: str
    curves: pd.DataFrame
    last: pd.Series
    best: pd.Series
    region: str = ""
    scale: str = ""
    ceiling: float = math.nan
    simulated: bool = False
    apart: str = ""
    notes: tuple[str, ...] = ()

    @property
    def final(self) -> Estimate:
        """Over seeds, of the last values."""
        return Estimate() if self.apart else mean_interval(self.last)

    @property
    def at_best(self) -> Estimate:
        """Over seeds, of the values at the best epoch of each."""
        return Estimate() if self.apart else mean_interval(self.best)

    @property
    def by_epoch(self) -> pd.DataFrame:
        """Over seeds at each epoch: mean, sd, low, high, n."""
        rows = [Estimate() if self.apart else mean_interval(row) for row in self.curves.to_numpy(float)]
        return pd.DataFrame(rows, index=self.curves.index, columns=list(Estimate._fields))


def plain_measures(runs: Sequence[SeedRun]) -> list[Measure]:
    """Accuracies, then losses, of validation, from each run's metrics.csv."""
    found = [name for name in _names(runs) if name.startswith("val/")]
    best = {run.seed: _epoch(run.summary, "best_epoch") for run in runs}
    measures = []
    for name in sorted(found, key=lambda one: (not one.startswith("val/top"), one)):
        curves = {run.seed: _logged(run.metrics, name, "epoch", 1) for run in runs}
        kind = "loss" if "loss" in name else "accuracy"
        measures.append(_measure(curves, best, {}, name=name, label=label(name), kind=kind))
    return measures


def brain_measures(runs: Sequence[SeedRun]) -> list[Measure]:
    """Every benchmark of scores.csv (for each kind of weights), then the means over benchmarks of metrics.csv."""
    parts: dict[tuple[str, str], dict[int, pd.DataFrame]] = {}
    for run in runs:
        if run.scores is not None:
            for key, rows in run.scores.groupby(["benchmark", "weights"], sort=False):
                name, weights = map(str, key)
                parts.setdefault((name, weights), {})[run.seed] = rows.set_index("epoch")
    best = {run.seed: _epoch(run.summary, "brain_best_epoch") for run in runs}
    kinds = len({weights for _, weights in parts}) > 1
    seeds = [run.seed for run in runs]
    measures = [
        _benchmark(name, weights if kinds else "", rows, seeds, best)
        for (name, weights), rows in parts.items()
    ]
    return measures + _composites(runs, measures, best)


def not_alike(rows: Mapping[Any, pd.DataFrame], what: str = "seed") -> str:
    """What runs were not compared alike in; "" for nothing. What is not told (NaN, no text) is like anything.

    rows: of one benchmark, by seed, or by what else names a run (`what`), with the columns of scores.csv.
    """
    there = pd.concat([one[np.isfinite(one["value"])].assign(run=run) for run, one in rows.items()])
    for column in COMPARED:
        if column in there:
            told = there[there[column].notna() & (there[column] != "")]
            if told[column].nunique() > 1:
                return _differing(column, told, what)
    for _, ceilings in there[np.isfinite(there["ceiling"])].groupby(level=0):
        low, high = ceilings["ceiling"].min(), ceilings["ceiling"].max()
        if high - low > NEAR * max(abs(low), abs(high)):
            return _differing("ceiling", ceilings, what)
    return ""


def _benchmark(
    name: str, weights: str, rows: Mapping[int, pd.DataFrame], seeds: Iterable[int], best: Mapping[int, float]
) -> Measure:
    curves = {seed: rows[seed]["value"] if seed in rows else pd.Series(dtype=float) for seed in seeds}
    why = {seed: (one.iloc[-1]["failure"] or one.iloc[-1]["notes"]) for seed, one in rows.items()}
    every = pd.concat(list(rows.values()))
    there = every[np.isfinite(every["value"])]
    return _measure(
        curves,
        best,
        why,
        name=f"brain/{name}",
        label=f"{name} ({weights} weights)" if weights else name,
        kind="brain",
        region=str(every["region"].iloc[-1]),
        scale=str(there["scale"].iloc[-1]) if len(there) else "",
        ceiling=latest(there["ceiling"]),
        simulated=bool(every["simulated"].any()) or name.startswith("simulated"),
        apart=not_alike(rows),
    )


def _composites(
    runs: Sequence[SeedRun], measures: Sequence[Measure], best: Mapping[int, float]
) -> list[Measure]:
    """brain/mean and the published averages: not logged where a part of them was undefined, and NaN there."""
    evaluated = {run.seed: _logged(run.metrics, "brain/epoch", "brain/epoch", 0).index for run in runs}
    separate = [one.label for one in measures if one.apart]
    why = dict.fromkeys(evaluated, "a part of it is undefined, failed, or was not scored then")
    found = []
    for name in filter(_COMPOSITE.fullmatch, _names(runs)):
        curves = {
            run.seed: _logged(run.metrics, name, "brain/epoch", 0).reindex(evaluated[run.seed])
            for run in runs
        }
        kind = "simulated average" if "simulated" in name else "average"
        found.append(
            _measure(
                curves,
                best,
                why,
                name=name,
                label=label(name) if name == "brain/mean" else f"{kind} {name[-4:]}",
                kind="brain",
                scale="" if name == "brain/mean" else "raw",
                simulated="simulated" in name or all(one.simulated for one in measures),
                apart=f"it is made of {separate[0]}, which is not averaged" if separate else "",
            )
        )
    return found


def _measure(
    curves: Mapping[int, pd.Series], best: Mapping[int, float], why: Mapping[int, str], **facts: Any
) -> Measure:
    """curves: value by epoch, of each seed. best: its best epoch. why: it may lack a last value."""
    last = pd.Series({seed: _last(curve) for seed, curve in curves.items()}, dtype=float)
    at_best = {seed: float(curve.get(best[seed], math.nan)) for seed, curve in curves.items()}
    return Measure(
        curves=pd.DataFrame(dict(curves), dtype=float).sort_index(),
        last=last,
        best=pd.Series(at_best, dtype=float),
        notes=_lacking(last, why),
        **facts,
    )


def _names(runs: Sequence[SeedRun]) -> list[str]:
    """What any of the runs logged."""
    return list(dict.fromkeys(name for run in runs if run.metrics is not None for name in run.metrics))


def _differing(column: str, rows: pd.DataFrame, what: str) -> str:
    values = rows.groupby("run")[column].unique()
    shown = (f"{', '.join(map(_text, found))} in {what} {run}" for run, found in values.items())
    return f"its {column.replace('_', ' ')} is not the same: {'; '.join(shown)}"


def _lacking(last: pd.Series, why: Mapping[int, str]) -> tuple[str, ...]:
    """How many seeds have no last value, which, and for what reasons."""
    without = list(last.index[last.isna()])
    if not without:
        return ()
    reasons = dict.fromkeys(text.rstrip(".") for seed in without if (text := str(why.get(seed, ""))))
    count = f"{len(without)} of {len(last)} seeds without a last value ({', '.join(map(str, without))})"
    what = ": left out of the mean" if len(without) < len(last) else ""
    return (f"{count}{what}{': ' if reasons else ''}{'; '.join(reasons)}",)


def _logged(table: pd.DataFrame | None, name: str, counter: str, offset: int) -> pd.Series:
    """A metric by epochs completed: the last value of each epoch."""
    if table is None or name not in table or counter not in table:
        return pd.Series(dtype=float)
    return by_epoch(table[counter] + offset, table[name])


def _last(curve: pd.Series) -> float:
    value = float(curve.iloc[-1]) if len(curve) else math.nan
    return value if math.isfinite(value) else math.nan


def _epoch(summary: Mapping[str, object], key: str) -> float:
    epoch = summary.get(key)
    return float(epoch) if isinstance(epoch, int | float) else math.nan


def _text(value: object) -> str:
    return f"{value:.6g}" if isinstance(value, float) else str(value)

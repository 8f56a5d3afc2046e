"""Collect the accuracies, losses and brain scores of several seeds and average them."""

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from cornet.errors import CornetError
from cornet.report.curves import label, task_metric
from cornet.report.run.data import by_epoch, latest
from cornet.report.seeds.seed_runs import SeedRun
from cornet.report.statistics import Estimate, mean_interval

__all__ = ["Measure", "benchmark_difference", "brain_measures", "check_benchmarks", "plain_measures"]

COMPARED = ("version", "scale", "metric", "split_rule", "brain_data")
"""Columns of scores.csv that must be the same in all seeds for a benchmark's values to be averaged."""

CEILING_TOLERANCE = 1e-6
"""Relative difference up to which two ceilings count as equal."""

MEAN = "val/mean"
"""The metric of a task of several parts, each with its own, such as val/word_top1."""

_PART = re.compile(r"val/\w+_(top1|r2)")
_COMPOSITE = re.compile(r"brain/(mean|(simulated_)?average_\d{4})")


@dataclass(frozen=True, eq=False, kw_only=True)
class Measure:
    """A metric of several seeds by epoch.

    name: as logged (val/top1, brain/simulated.IT). kind: accuracy (any metric of a task), loss or brain. of_task: it is
        the metric of the task, or a view or part of it. is_task: it is that metric itself. of_part: it is the metric of
        one of several tasks, whose mean is the metric of the task.
    curves: values by epochs completed (rows; 0: before training) and seed (columns); NaN: missing.
    last: by seed, the value of the last evaluation. best: by seed, the value at the epoch of the best checkpoint, by
        `monitor` (accuracies, losses: best.ckpt) or `brain.monitor` (brain scores: best_brain.ckpt).
    benchmark, weights: of a brain score, as in scores.csv; "" for others.
    incomparable: why the seeds' values cannot be averaged; "" if they can.
    notes: for the reader, such as that a seed has no value.
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
    benchmark: str = ""
    weights: str = ""
    simulated: bool = False
    of_task: bool = False
    is_task: bool = False
    of_part: bool = False
    incomparable: str = ""
    notes: tuple[str, ...] = ()

    @property
    def final(self) -> Estimate:
        """Estimate over seeds of the last values."""
        return Estimate() if self.incomparable else mean_interval(self.last)

    @property
    def at_best(self) -> Estimate:
        """Estimate over seeds of the values at each seed's best epoch."""
        return Estimate() if self.incomparable else mean_interval(self.best)

    @property
    def by_epoch(self) -> pd.DataFrame:
        """Estimates over seeds at each epoch: mean, sd, low, high, n."""
        rows = [
            Estimate() if self.incomparable else mean_interval(row) for row in self.curves.to_numpy(float)
        ]
        return pd.DataFrame(rows, index=self.curves.index, columns=list(Estimate._fields))


def plain_measures(runs: Sequence[SeedRun]) -> list[Measure]:
    """Return the metrics of the task, that of `task_metric` first, then losses, from each run's metrics.csv."""
    names = [name for name in _names(runs) if name.startswith("val/")]
    best = {run.seed: _epoch(run.summary, "best_epoch") for run in runs}
    measures = []
    main = task_metric(runs[0].summary)
    for name in sorted(names, key=lambda text: ("loss" in text, not text.startswith(main), text)):
        curves = {run.seed: _logged(run.metrics, name, "epoch", 1) for run in runs}
        kind = "loss" if "loss" in name else "accuracy"
        facts = {"of_task": name.startswith(main), "is_task": name == main}
        facts["of_part"] = main == MEAN and bool(_PART.fullmatch(name))
        measures.append(_measure(curves, best, {}, name=name, label=label(name), kind=kind, **facts))
    return measures


def brain_measures(runs: Sequence[SeedRun]) -> list[Measure]:
    """Return every benchmark of scores.csv (per kind of weights), then the means over benchmarks of metrics.csv."""
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
        _benchmark(name, weights, kinds, rows, seeds, best) for (name, weights), rows in parts.items()
    ]
    return measures + _composites(runs, measures, best)


def benchmark_difference(rows: Mapping[Any, pd.DataFrame], what: str = "seed") -> str:
    """Return how a benchmark differs between runs (version, scale, data, ceiling, ...); "" if it does not.

    rows: {seed: rows of scores.csv for this benchmark}; what: name of the keys if they are not seeds. Unknown entries
    (NaN, empty text) are compatible with any other.
    """
    scored = pd.concat([one[np.isfinite(one["value"])].assign(run=run) for run, one in rows.items()])
    for column in COMPARED:
        if column in scored:
            known = scored[scored[column].notna() & (scored[column] != "")]
            if known[column].nunique() > 1:
                return _differing(column, known, what)
    for _, ceilings in scored[np.isfinite(scored["ceiling"])].groupby(level=0):
        low, high = ceilings["ceiling"].min(), ceilings["ceiling"].max()
        if high - low > CEILING_TOLERANCE * max(abs(low), abs(high)):
            return _differing("ceiling", ceilings, what)
    return ""


def check_benchmarks(tables: Mapping[str, pd.DataFrame]) -> None:
    """Compare each run's benchmarks with the first run that has them. Raises CornetError if they differ.

    tables: {name of a run: its scores.csv}.
    """
    first: dict[str, tuple[str, pd.DataFrame]] = {}
    for name, table in tables.items():
        for benchmark, rows in table.groupby("benchmark", sort=False):
            rows = rows.set_index("epoch")
            other, other_rows = first.setdefault(str(benchmark), (name, rows))
            if other != name and (why := benchmark_difference({other: other_rows, name: rows}, "run")):
                raise CornetError(
                    f"{benchmark} differs between runs ({why}), so its scores cannot be compared; "
                    "score the older runs again, or move them to another folder."
                )
            if not other_rows["value"].notna().any():  # it failed there, so most of its columns are empty
                first[str(benchmark)] = (name, rows)


def _benchmark(
    name: str,
    weights: str,
    several_kinds: bool,
    rows: Mapping[int, pd.DataFrame],
    seeds: Iterable[int],
    best: Mapping[int, float],
) -> Measure:
    curves = {seed: rows[seed]["value"] if seed in rows else pd.Series(dtype=float) for seed in seeds}
    why = {seed: (one.iloc[-1]["failure"] or one.iloc[-1]["notes"]) for seed, one in rows.items()}
    every = pd.concat(list(rows.values()))
    defined = every[np.isfinite(every["value"])]
    return _measure(
        curves,
        best,
        why,
        name=f"brain/{name}",
        label=f"{name} ({weights} weights)" if weights and several_kinds else name,
        kind="brain",
        benchmark=name,
        weights=weights,
        region=str(every["region"].iloc[-1]),
        scale=str(defined["scale"].iloc[-1]) if len(defined) else "",
        ceiling=latest(defined["ceiling"]),
        simulated=bool(every["simulated"].any()) or name.startswith("simulated"),
        incomparable=benchmark_difference(rows),
    )


def _composites(
    runs: Sequence[SeedRun], measures: Sequence[Measure], best: Mapping[int, float]
) -> list[Measure]:
    """Return brain/mean and the published averages, NaN at evaluations where a part of them was undefined."""
    evaluated = {run.seed: _logged(run.metrics, "brain/epoch", "brain/epoch", 0).index for run in runs}
    separate = [one.label for one in measures if one.incomparable]
    why = dict.fromkeys(evaluated, "a part of it is undefined, failed, or was not scored")
    composites = []
    for name in filter(_COMPOSITE.fullmatch, _names(runs)):
        curves = {
            run.seed: _logged(run.metrics, name, "brain/epoch", 0).reindex(evaluated[run.seed])
            for run in runs
        }
        kind = "simulated average" if "simulated" in name else "average"
        composites.append(
            _measure(
                curves,
                best,
                why,
                name=name,
                label=label(name) if name == "brain/mean" else f"{kind} {name[-4:]}",
                kind="brain",
                scale="" if name == "brain/mean" else "raw",
                simulated="simulated" in name or all(one.simulated for one in measures),
                incomparable=f"it includes {separate[0]}, which is not averaged" if separate else "",
            )
        )
    return composites


def _measure(
    curves: Mapping[int, pd.Series], best: Mapping[int, float], why: Mapping[int, str], **facts: Any
) -> Measure:
    """Make a Measure. curves, best, why: by seed, its values by epoch, best epoch, and why a value may be missing."""
    last = pd.Series({seed: _last(curve) for seed, curve in curves.items()}, dtype=float)
    at_best = {seed: float(curve.get(best[seed], math.nan)) for seed, curve in curves.items()}
    return Measure(
        curves=pd.DataFrame(dict(curves), dtype=float).sort_index(),
        last=last,
        best=pd.Series(at_best, dtype=float),
        notes=_missing_notes(last, why),
        **facts,
    )


def _names(runs: Sequence[SeedRun]) -> list[str]:
    """Return the names of all metrics that any run logged."""
    return list(dict.fromkeys(name for run in runs if run.metrics is not None for name in run.metrics))


def _differing(column: str, rows: pd.DataFrame, what: str) -> str:
    values = rows.groupby("run")[column].unique()
    shown = (f"{', '.join(map(_text, entries))} in {what} {run}" for run, entries in values.items())
    return f"its {column.replace('_', ' ')} differs: {'; '.join(shown)}"


def _missing_notes(last: pd.Series, why: Mapping[int, str]) -> tuple[str, ...]:
    """Return a note on the seeds without a last value, with the reasons; empty if there are none."""
    missing = list(last.index[last.isna()])
    if not missing:
        return ()
    reasons = dict.fromkeys(text.rstrip(".") for seed in missing if (text := str(why.get(seed, ""))))
    count = f"{len(missing)} of {len(last)} seeds without a last value ({', '.join(map(str, missing))})"
    what = ": left out of the mean" if len(missing) < len(last) else ""
    return (f"{count}{what}{': ' if reasons else ''}{'; '.join(reasons)}",)


def _logged(table: pd.DataFrame | None, name: str, counter: str, offset: int) -> pd.Series:
    """Return a metric by epochs completed, with the last value of each epoch."""
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

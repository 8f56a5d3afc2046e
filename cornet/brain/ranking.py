"""Rank models by several benchmarks, with paired intervals and groups of models that cannot be told apart.

ranking = rank([open_subject("pixels"), open_subject("gabor")], open_benchmarks(["my-bundle"]))
ranking.table()     # one row per model, best first
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import norm

from cornet.brain.benchmarks.base import Benchmark
from cornet.brain.benchmarks.battery import Result, run_battery, with_layers
from cornet.brain.benchmarks.neural import NeuralBenchmark
from cornet.brain.cache import cached_arrays
from cornet.brain.metrics.difference import holm
from cornet.brain.metrics.resampling import UNPAIRED, raw_draws
from cornet.brain.scales import to_scale
from cornet.brain.score import Score
from cornet.brain.subjects.subject import NoLayer, Subject
from cornet.errors import CornetError

__all__ = ["MEAN", "Compared", "Gap", "Ranking", "letters", "rank"]

MEAN = "mean"
"""Name of the mean over all benchmarks."""

ALPHA = 0.05


@dataclass(frozen=True, eq=False)
class Compared:
    """The score of a model on a benchmark: its value, the draws of the value (draw,), and what was resampled."""

    value: float
    draws: NDArray[np.float64]
    resampled: str
    row: dict[str, Any]


class Gap(NamedTuple):
    """value: a model's minus another's. low, high: 95 % interval. p: two-sided, normal approximation."""

    value: float
    low: float
    high: float
    p: float


@dataclass(frozen=True, eq=False)
class Ranking:
    """Scores of all models, best first by `MEAN`.

    models, benchmarks: names. scores: by (model, benchmark). failures: the reasons why there is no score, by (model,
    benchmark). The mean is over benchmarks that all models have.
    """

    models: list[str]
    benchmarks: list[str]
    scores: dict[tuple[str, str], Compared]
    failures: dict[tuple[str, str], str]

    @cached_property
    def averaged(self) -> list[str]:
        """The benchmarks in the mean: those with a value of every model."""
        return [
            name
            for name in self.benchmarks
            if all((m, name) in self.scores and np.isfinite(self.scores[m, name].value) for m in self.models)
        ]

    def value(self, model: str, benchmark: str = MEAN) -> float:
        """NaN if there is no score."""
        if benchmark == MEAN:
            values = [self.scores[model, name].value for name in self.averaged]
            return float(np.mean(values)) if values else np.nan
        found = self.scores.get((model, benchmark))
        return np.nan if found is None else found.value

    def draws(self, model: str, benchmark: str = MEAN) -> NDArray[np.float64]:
        """Draws of `value`, (draw,)."""
        if benchmark == MEAN:
            return np.mean([self.scores[model, name].draws for name in self.averaged], axis=0)
        return self.scores[model, benchmark].draws

    def interval(self, model: str, benchmark: str = MEAN) -> tuple[float, float]:
        """95 % interval of a value."""
        if not np.isfinite(self.value(model, benchmark)):
            return np.nan, np.nan
        low, high = np.nanquantile(self.draws(model, benchmark), [0.025, 0.975])
        return float(low), float(high)

    def gap(self, model: str, other: str, benchmark: str = MEAN) -> Gap:
        """The paired difference of two models."""
        value = self.value(model, benchmark) - self.value(other, benchmark)
        if model == other or not np.isfinite(value):
            return Gap(value, value, value, 1.0 if model == other else np.nan)
        difference = self.draws(model, benchmark) - self.draws(other, benchmark)
        low, high = np.nanquantile(difference, [0.025, 0.975])
        spread = float(np.nanstd(difference))
        p = float(2 * norm.sf(abs(value) / spread)) if spread > 0 else float(value == 0)
        return Gap(value, float(low), float(high), p)

    def groups(self, benchmark: str = MEAN) -> dict[str, str]:
        """Letters of each model: models that share a letter cannot be told apart (Holm's correction, alpha = .05)."""
        order = [model for model in self.models if np.isfinite(self.value(model, benchmark))]
        order.sort(key=lambda model: -self.value(model, benchmark))
        pairs = [(a, b) for k, a in enumerate(order) for b in order[k + 1 :]]
        ps = holm([self.gap(a, b, benchmark).p for a, b in pairs])
        different = {pair for pair, p in zip(pairs, ps, strict=True) if p < ALPHA}
        return letters(order, different)

    def table(self) -> pd.DataFrame:
        """One row per model: rank, model, mean with interval, groups, difference from the best, and each benchmark."""
        groups = self.groups() if self.averaged else {}
        each = {name: self.groups(name) for name in self.benchmarks}
        rows = []
        for place, model in enumerate(self.models, 1):
            low, high = self.interval(model)
            gap = self.gap(model, self.models[0])
            row: dict[str, Any] = {"rank": place, "model": model, "mean": self.value(model)}
            row |= {"low": low, "high": high, "groups": groups.get(model, "")}
            row |= {"minus_best": gap.value, "minus_best_low": gap.low, "minus_best_high": gap.high}
            for name in self.benchmarks:
                row[name] = self.value(model, name)
                row[f"{name} low"], row[f"{name} high"] = self.interval(model, name)
                row[f"{name} groups"] = each[name].get(model, "")
            rows.append(row)
        return pd.DataFrame(rows)

    def renamed(self, names: Mapping[str, str]) -> "Ranking":
        """The same with other names of the models."""
        return Ranking(
            [names[model] for model in self.models],
            self.benchmarks,
            {(names[model], name): one for (model, name), one in self.scores.items()},
            {(names.get(model, model), name): why for (model, name), why in self.failures.items()},
        )

    @property
    def unpaired(self) -> list[str]:
        """Benchmarks whose differences are not paired."""
        found = {name for (_, name), one in self.scores.items() if one.resampled == UNPAIRED}
        return [name for name in self.benchmarks if name in found]


def rank(
    subjects: Sequence[Subject],
    benchmarks: Sequence[Benchmark[Any]],
    *,
    named: Sequence[Any] | None = None,
    progress: bool = False,
    log: Callable[[str], None] = lambda message: None,
    cache: bool = True,
) -> Ranking:
    """Score every subject on every benchmark, and rank them. Each is recorded once per stimulus set.

    Comparisons are cached with everything that they depend on, so that the same call goes on where it was stopped. A
    benchmark that a subject cannot be scored on is left out for it, with the reason in `failures`. named, progress and
    log are as in `run_battery`. Raises CornetError if two subjects have one name, and if there is no score at all.
    """
    names = [subject.name for subject in subjects]
    for name in names:
        if names.count(name) > 1:
            raise CornetError(
                f"two models are named {name!r}, but a ranking needs different names; leave one out."
            )
    scores: dict[tuple[str, str], Compared] = {}
    failures: dict[tuple[str, str], str] = {}
    for number, subject in enumerate(subjects):
        log(f"{number + 1}/{len(subjects)} {subject.name}")
        try:
            chosen = list(benchmarks) if named is None else with_layers(benchmarks, subject, named)
        except NoLayer as error:
            failures |= {(subject.name, one.name): str(error) for one in benchmarks}
            continue
        for one in benchmarks:
            if one not in chosen:
                failures[subject.name, one.name] = "no layer for this region"
        keys = {one.name: comparison_key(one, subject) if cache else None for one in chosen}
        waiting = []
        for one in chosen:
            known = read_comparison(one, keys[one.name])
            if known is None:
                waiting.append(one)
            else:
                scores[subject.name, one.name] = known
        for result in run_battery([subject], waiting, strict=False, progress=progress, log=log):
            place = subject.name, result.benchmark.name
            if result.failure:
                failures[place] = result.failure
            else:
                scores[place] = compared(result, keys[result.benchmark.name])
    if not scores:
        raise CornetError(f"no model could be scored: {next(iter(failures.values()), 'none was given')}")
    known_benchmarks = [one.name for one in benchmarks if any((m, one.name) in scores for m in names)]
    ranked = [name for name in names if any((name, one) in scores for one in known_benchmarks)]
    found = Ranking(ranked, known_benchmarks, scores, failures)
    last = float("-inf")
    by = found.value if found.averaged else lambda model: found.value(model, known_benchmarks[0])
    ranked.sort(key=lambda model: -by(model) if np.isfinite(by(model)) else -last)
    return found


class NotCached(Exception):
    pass


def comparison_key(benchmark: Benchmark[Any], subject: Subject) -> dict[str, Any] | None:
    """Everything that a comparison depends on besides code; None if the benchmark cannot be scored."""
    try:
        sites = benchmark.sites(subject)
        facts = [type(benchmark).__qualname__, benchmark.name, benchmark.version, benchmark.fingerprint]
        options = {
            name: value
            for name, value in vars(benchmark).items()
            if isinstance(value, str | int | float | tuple | None)
        }
    except CornetError:
        return None
    return {
        "subject": subject.identity,
        "sites": [str(site) for site in sites],
        "facts": facts,
        "options": options,
    }


def read_comparison(benchmark: Benchmark[Any], key: dict[str, Any] | None) -> Compared | None:
    """The cached comparison; None if there is none."""

    def missing() -> dict[str, NDArray[Any]]:
        raise NotCached

    if key is None:
        return None
    try:
        arrays = cached_arrays("comparisons", key, missing, modules_of(benchmark))
    except NotCached:
        return None
    row = json.loads(str(arrays["row"]))
    return Compared(float(arrays["value"]), arrays["draws"], str(arrays["resampled"]), row)


def compared(result: Result, key: dict[str, Any] | None) -> Compared:
    """Draw the value of a score again and again, and cache it."""
    benchmark, score = result.benchmark, result.score
    options: dict[str, Any] = {}
    if isinstance(benchmark, NeuralBenchmark):
        options = {"responses": benchmark.responses.mean, "groups": benchmark._column(benchmark.groups)}
    parts: dict[str, Score] = score.details.get("subjects", {"": score})
    draws = np.zeros(0)
    for name, part in parts.items():  # of a benchmark that averages over recorded subjects
        own = dict(options)
        if name and isinstance(benchmark, NeuralBenchmark):
            own["responses"] = options["responses"][:, benchmark.neuroids_of(name)]
        raw, resampled = raw_draws(part, f"{benchmark.name} {name}".strip(), result.subject, **own)
        one = np.array([scaled(value, part) for value in raw]) / len(parts)
        draws = draws + one if len(draws) else one
    row = result.row()

    def arrays() -> dict[str, NDArray[Any]]:
        text = {"resampled": np.array(resampled), "row": np.array(json.dumps(row))}
        return {"value": np.array(score.value), "draws": draws, **text}

    if key is not None:
        cached_arrays("comparisons", key, arrays, modules_of(benchmark))
    return Compared(score.value, draws, resampled, row)


def modules_of(benchmark: Benchmark[Any]) -> list[str]:
    """Modules that compare, which this one does not import by name."""
    found = [type(benchmark).__module__]
    if isinstance(benchmark, NeuralBenchmark):
        found.append(type(benchmark.comparison).__module__)
    return found


def scaled(raw: float, score: Score) -> float:
    """A raw value on the scale of the score, with its ceiling."""
    return to_scale(raw, score.ceiling, score.scale)


def letters(order: Sequence[str], different: set[tuple[str, str]]) -> dict[str, str]:
    """Give each model letters so that two models share one exactly if they do not differ.

    order: best first. different: pairs that differ. Insert and absorb, Piepho (2004), J. Comput. Graph. Stat. 13.
    """
    columns: list[frozenset[str]] = [frozenset(order)]
    for a, b in different:
        split: list[frozenset[str]] = []
        for column in columns:
            split += [column - {a}, column - {b}] if {a, b} <= column else [column]
        unique = list(dict.fromkeys(split))
        columns = [one for one in unique if not any(one < other for other in unique)]
    columns.sort(key=lambda column: [place for place, model in enumerate(order) if model in column])
    names = [chr(ord("a") + k % 26) * (1 + k // 26) for k in range(len(columns))]
    return {model: "".join(n for n, c in zip(names, columns, strict=True) if model in c) for model in order}

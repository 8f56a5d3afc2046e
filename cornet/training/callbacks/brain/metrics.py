"""Compute the logged metrics of brain scores: per benchmark, per region, and means."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from cornet.brain.benchmarks import Benchmark, Result, TimesBenchmark

__all__ = ["FAMILIES", "MEAN", "averages", "in_mean", "mean_value", "metrics", "monitor_names"]

FAMILIES: Mapping[str, tuple[str, str, str, str]] = {
    "public": ("majajhong2015.V4", "majajhong2015.IT", "rajalingham2018-i2n", "kar2019-ost"),
    "simulated": ("simulated.V4", "simulated.IT", "simulated-i2n", "simulated-ost"),
}
"""The benchmarks of V4, IT, behaviour and solution times; recorded and simulated brains are never mixed."""

MEAN = "brain/mean"


def metrics(results: Sequence[Result]) -> dict[str, float]:
    """Return brain/<name> (on its scale), /raw, /error, /ceiling and /ood per benchmark; brain/<region> if it has one.

    /ood: the value on further test sets, if the benchmark has some.
    """
    found: dict[str, float] = {}
    short: dict[str, list[float]] = {}
    for result in results:
        if result.failure:
            continue
        score, name = result.score, f"brain/{result.benchmark.name}"
        found |= {name: score.value, f"{name}/raw": score.raw, f"{name}/error": score.error}
        if math.isfinite(score.ceiling):
            found[f"{name}/ceiling"] = score.ceiling
        if score.ood is not None:
            found[f"{name}/ood"] = score.ood.value
        if result.benchmark.in_means:
            short.setdefault(_region_name(result.benchmark), []).append(score.value)
    return found | {name: values[0] for name, values in short.items() if len(values) == 1}


def averages(results: Sequence[Result]) -> dict[str, float]:
    """Return Brain-Score as one number: the mean of raw values, as in the papers of 2018 and 2019.

    2018 (Schrimpf et al.): V4, IT, behaviour. 2019 (Kubilius, Schrimpf et al.): also solution times, which count 0 if
    undefined. brain/average_2018 and _2019 use public benchmarks; those of simulated ones start with simulated_. An
    average with a missing or failed part is omitted.
    """
    raw = {result.benchmark.name: result.score.raw for result in results if not result.failure}
    found = {}
    for family, (v4, it, behaviour, times) in FAMILIES.items():
        parts = [raw.get(name, math.nan) for name in (v4, it, behaviour)]
        if not all(map(math.isfinite, parts)):
            continue
        found[_average_name(family, 2018)] = sum(parts) / 3
        if times in raw:
            late = raw[times] if math.isfinite(raw[times]) else 0.0
            found[_average_name(family, 2019)] = (sum(parts) + late) / 4
    return found


def mean_value(results: Sequence[Result], members: Sequence[str]) -> dict[str, float]:
    """Return brain/mean, the mean value of the benchmarks `members`; empty if one of them failed or is NaN."""
    values = [r.score.value for r in results if r.benchmark.name in members and not r.failure]
    complete = len(values) == len(members) > 0 and all(map(math.isfinite, values))
    return {MEAN: sum(values) / len(values)} if complete else {}


def in_mean(benchmarks: Sequence[Benchmark[Any]], start_and_end_only: Sequence[str]) -> list[str]:
    """Return the benchmarks in brain/mean: scored every time, and only recorded ones if there are any."""
    regular = [one for one in benchmarks if one.in_means and one.name not in start_and_end_only]
    recorded = [benchmark for benchmark in regular if not benchmark.simulated]
    return [benchmark.name for benchmark in recorded or regular]


def monitor_names(benchmarks: Sequence[Benchmark[Any]], start_and_end_only: Sequence[str]) -> list[str]:
    """Return the metric names that a monitor may use."""
    names = [benchmark.name for benchmark in benchmarks]
    short = [_region_name(benchmark) for benchmark in benchmarks if benchmark.in_means]
    found = [*(f"brain/{name}" for name in names), *(name for name in short if short.count(name) == 1)]
    for family, (*parts, times) in FAMILIES.items():
        if set(parts) <= set(names):
            found += [_average_name(family, year) for year in (2018, 2019) if year == 2018 or times in names]
    return [*found, MEAN] if in_mean(benchmarks, start_and_end_only) else found


def _region_name(benchmark: Benchmark[Any]) -> str:
    return "brain/ost" if isinstance(benchmark, TimesBenchmark) else f"brain/{benchmark.region}"


def _average_name(family: str, year: int) -> str:
    return f"brain/average_{year}" if family == "public" else f"brain/{family}_average_{year}"

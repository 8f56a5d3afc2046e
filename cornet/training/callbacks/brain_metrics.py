"""What is logged of a network's results: each benchmark's numbers, short names by region, and means."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from cornet.brain.benchmarks import Benchmark, Result, TimesBenchmark

__all__ = ["FAMILIES", "MEAN", "averages", "compared", "mean_value", "metrics", "monitors"]

FAMILIES: Mapping[str, tuple[str, str, str, str]] = {
    "public": ("majajhong2015.V4", "majajhong2015.IT", "rajalingham2018-i2n", "kar2019-ost"),
    "simulated": ("simulated.V4", "simulated.IT", "simulated-i2n", "simulated-ost"),
}
"""V4, IT, behaviour and solution times of one origin: recorded and simulated brains are never mixed."""

MEAN = "brain/mean"


def metrics(results: Sequence[Result]) -> dict[str, float]:
    """Per benchmark brain/<name> (on its scale), /raw, /error and /ceiling; and brain/<region> where one has it."""
    found: dict[str, float] = {}
    short: dict[str, list[float]] = {}
    for result in results:
        if result.failure:
            continue
        score, name = result.score, f"brain/{result.benchmark.name}"
        found |= {name: score.value, f"{name}/raw": score.raw, f"{name}/error": score.error}
        if math.isfinite(score.ceiling):
            found[f"{name}/ceiling"] = score.ceiling
        short.setdefault(_short(result.benchmark), []).append(score.value)
    return found | {name: values[0] for name, values in short.items() if len(values) == 1}


def averages(results: Sequence[Result]) -> dict[str, float]:
    """Brain-Score as one number, the mean of raw values as in the papers of 2018 and 2019.

    2018 (Schrimpf et al.): V4, IT, behaviour. 2019 (Kubilius, Schrimpf et al.): V4, IT, behaviour and solution times (0
    for a network without). brain/average_2018 and _2019 are of public benchmarks; simulated ones begin with simulated_.
    One with a part that was not scored, or failed, is left out.
    """
    raw = {result.benchmark.name: result.score.raw for result in results if not result.failure}
    found = {}
    for family, (v4, it, behaviour, times) in FAMILIES.items():
        parts = [raw.get(name, math.nan) for name in (v4, it, behaviour)]
        if not all(map(math.isfinite, parts)):
            continue
        found[_average(family, 2018)] = sum(parts) / 3
        if times in raw:
            late = raw[times] if math.isfinite(raw[times]) else 0.0
            found[_average(family, 2019)] = (sum(parts) + late) / 4
    return found


def mean_value(results: Sequence[Result], only: Sequence[str]) -> dict[str, float]:
    """brain/mean: the mean of the values, as shown, of the benchmarks `only`; empty where one failed or is NaN."""
    values = [r.score.value for r in results if r.benchmark.name in only and not r.failure]
    complete = len(values) == len(only) > 0 and all(map(math.isfinite, values))
    return {MEAN: sum(values) / len(values)} if complete else {}


def compared(benchmarks: Sequence[Benchmark[Any]], ends: Sequence[str]) -> list[str]:
    """Those of which brain/mean is the mean: scored every time, and recorded ones alone where there are any."""
    often = [one for one in benchmarks if one.name not in ends]
    recorded = [one for one in often if not one.simulated]
    return [one.name for one in recorded or often]


def monitors(benchmarks: Sequence[Benchmark[Any]], ends: Sequence[str]) -> list[str]:
    """The names that a monitor may have."""
    names = [one.name for one in benchmarks]
    short = [_short(one) for one in benchmarks]
    found = [*(f"brain/{name}" for name in names), *(name for name in short if short.count(name) == 1)]
    for family, (*parts, times) in FAMILIES.items():
        if set(parts) <= set(names):
            found += [_average(family, year) for year in (2018, 2019) if year == 2018 or times in names]
    return [*found, MEAN] if compared(benchmarks, ends) else found


def _short(benchmark: Benchmark[Any]) -> str:
    return "brain/ost" if isinstance(benchmark, TimesBenchmark) else f"brain/{benchmark.region}"


def _average(family: str, year: int) -> str:
    return f"brain/average_{year}" if family == "public" else f"brain/{family}_average_{year}"

"""Names of benchmarks with a metric as a suffix, such as my-bundle.V4-cka."""

from collections.abc import Sequence
from typing import Any

from cornet.brain.benchmarks.base import Benchmark
from cornet.brain.benchmarks.neural import NeuralBenchmark
from cornet.brain.metrics.neural.registry import list_metrics, neural_metric

__all__ = ["by_metric", "split_suffix", "with_suffix"]

DEFAULT = "pls"
"""The mapping of the published scores, which never gets a suffix."""


def by_metric(benchmark: Benchmark[Any], metrics: Sequence[str]) -> list[Benchmark[Any]]:
    """A neural benchmark with each of the metrics; any other benchmark as it is.

    Similarities and comparisons of units always have the metric as a suffix. Mappings to neuroids have one if there are
    several, but never pls.
    """
    if not isinstance(benchmark, NeuralBenchmark):
        return [benchmark]
    mappings = [name for name in metrics if not neural_metric(name).has_suffix]
    plain = {DEFAULT} if len(mappings) > 1 else {DEFAULT, *mappings}
    return [benchmark.with_metric(name, "" if name in plain else f"-{name}") for name in metrics]


def with_suffix(benchmark: Benchmark[Any], metric: str) -> list[Benchmark[Any]]:
    """A neural benchmark that was asked for by a name with a suffix; others only if they have it in their own name."""
    if isinstance(benchmark, NeuralBenchmark):
        return [benchmark.with_metric(metric, f"-{metric}")]
    return [benchmark] if benchmark.name.endswith(f"-{metric}") else []


def split_suffix(text: str) -> tuple[str, str]:
    """Split "my-bundle:V4-cka" into "my-bundle:V4" and the metric; "" for text without the suffix of a metric."""
    for metric in list_metrics():
        if text.endswith(f"-{metric}"):
            return text.removesuffix(f"-{metric}"), metric
    return text, ""

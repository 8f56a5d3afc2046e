"""Find metrics by name. A new file in this folder is enough to add one:

@register("explained_variance")
class ExplainedVariance(Predictivity):
    summary = "..."

    def score(self, features, responses, splits, *, groups=None, device="cpu"): ...
"""

import difflib
import pkgutil
from collections.abc import Callable, Sequence
from functools import cache
from importlib import import_module
from typing import TypeVar

from cornet.brain.metrics.neural.base import NeuralMetric
from cornet.errors import CornetError

__all__ = ["list_metrics", "metric_names", "neural_metric", "register"]

PACKAGE = __name__.rpartition(".")[0]

METRICS: dict[str, NeuralMetric] = {}

Registered = TypeVar("Registered", bound=type[NeuralMetric])


def register(name: str) -> Callable[[Registered], Registered]:
    """A decorator that adds a class of metrics under this name. Raises ValueError if another class has the name."""

    def add(metric: Registered) -> Registered:
        known = METRICS.get(name)
        if known is not None and _place(type(known)) != _place(metric):
            raise ValueError(
                f"the metric {name!r} of {_place(metric)} is already that of {_place(type(known))}"
            )
        metric.name = name
        METRICS[name] = metric()
        return metric

    return add


def neural_metric(name: str) -> NeuralMetric:
    """Return the metric of this name. Raises CornetError for an unknown one, with near names and the list."""
    import_metrics()
    if isinstance(name, str) and name in METRICS:
        return METRICS[name]
    known = list_metrics()
    near = difflib.get_close_matches(str(name), known, n=2)
    hint = f" (did you mean {' or '.join(near)}?)" if near else ""
    raise CornetError(f"metric={name!r} is unknown{hint}; choose one of {', '.join(known)}.")


def list_metrics() -> list[str]:
    """Names of all metrics: mappings first, then by module, each module's in their order."""
    import_metrics()
    return sorted(METRICS, key=lambda name: (not METRICS[name].is_mapping, type(METRICS[name]).__module__))


def metric_names(metric: str | Sequence[str]) -> tuple[str, ...]:
    """Parse "pls", "pls,cka" or ["pls", "cka"] to names without duplicates. Raises CornetError for unknown names."""
    listed = [metric] if isinstance(metric, str) else list(metric)
    words = [
        part.strip() if isinstance(part, str) else part
        for one in listed
        for part in (one.split(",") if isinstance(one, str) else [one])
    ]
    if not words:
        raise CornetError(f"metric={listed} is empty; choose one of {', '.join(list_metrics())}.")
    return tuple(dict.fromkeys(neural_metric(word).name for word in words))


@cache
def import_metrics() -> None:
    """Import every module of this folder, which registers its metrics."""
    for module in pkgutil.iter_modules(import_module(PACKAGE).__path__):
        import_module(f"{PACKAGE}.{module.name}")


def _place(metric: type[NeuralMetric]) -> str:
    return f"{metric.__module__}.{metric.__qualname__}"

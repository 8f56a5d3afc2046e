"""What is predicted: the responses of one neuroid or of all of a region, their reliability, and the folds."""

from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cornet.brain.benchmarks import open_benchmarks
from cornet.brain.benchmarks.neural import NeuralBenchmark
from cornet.brain.data.columns import categories
from cornet.brain.data.responses import Responses
from cornet.brain.metrics.ceiling import internal_consistency
from cornet.brain.metrics.splits import make_folds
from cornet.brain.subjects.base import suggestion
from cornet.errors import CornetError
from cornet.stimuli.stimulus_set import StimulusSet

__all__ = ["ALL", "HALVES", "MIN_RELIABILITY", "Target", "open_target"]

ALL = "all"
"""Text that names all neuroids."""

HALVES = 100
"""Random halves of the repetitions for the reliability."""

MIN_RELIABILITY = 0.3
"""Neuroids below it are left out of the median."""


@dataclass(frozen=True, eq=False)
class Target:
    """Responses to predict.

    name: of the benchmark, with its region. stimuli: the images, in the order of the responses. neuroids: (neuroid,)
    ids. responses: (stimulus, neuroid), averaged over repetitions, NaN where missing. reliability: (half split,
    neuroid), Spearman-Brown; None for averaged responses. folds: (stimulus,). groups: (stimulus,) or None, stimuli that
    stay in one fold, and `grouped_by`, the column. degrees: visual angle of the images. time_bin: of the responses, in
    ms. region: of the neuroids, and step_bin, the time bin, in ms, of the step that is compared with it. square_roots:
    whether the responses are square roots. notes: what was left out, with counts.
    """

    name: str
    stimuli: StimulusSet
    neuroids: NDArray[np.str_]
    responses: NDArray[np.float64] = field(repr=False)
    folds: NDArray[np.int64] = field(repr=False)
    reliabilities: NDArray[np.float64] | None = field(default=None, repr=False)
    groups: NDArray[Any] | None = field(default=None, repr=False)
    grouped_by: str = ""
    degrees: float | None = None
    time_bin: tuple[float, float] | None = None
    region: str = ""
    step_bin: tuple[float, float] | None = None
    simulated: bool = False
    square_roots: bool = False
    notes: tuple[str, ...] = ()

    @cached_property
    def reliability(self) -> NDArray[np.float64]:
        """(neuroid,), mean over the half splits; NaN if unknown."""
        if self.reliabilities is None:
            return np.full(len(self.neuroids), np.nan)
        known = np.isfinite(self.reliabilities)
        total = np.where(known, self.reliabilities, 0.0).sum(axis=0)
        return np.divide(total, known.sum(axis=0), out=np.full(len(total), np.nan), where=known.any(axis=0))

    @property
    def has_ceiling(self) -> bool:
        return self.reliabilities is not None

    @cached_property
    def reasons(self) -> dict[str, str]:
        """Why a neuroid cannot be predicted, by its id."""
        found = {}
        fewest = 2 * (int(self.folds.max()) + 1)
        for name, values in zip(self.neuroids, self.responses.T, strict=True):
            known = values[np.isfinite(values)]
            if not len(known):
                found[str(name)] = "it has no responses"
            elif (known == known[0]).all():
                what = "it is silent" if known[0] == 0 else "its response is constant"
                found[str(name)] = f"{what} ({known[0]:g} to all {len(known)} images)"
            elif len(known) < fewest:
                found[str(name)] = f"it has responses to {len(known)} images, fewer than {fewest}"
        return found

    @cached_property
    def reliable(self) -> NDArray[np.bool_]:
        """(neuroid,), whether it is in the median: it can be predicted, and is reliable where that is known."""
        possible = ~np.isin(self.neuroids, list(self.reasons))
        return possible & (self.reliability >= MIN_RELIABILITY) if self.has_ceiling else possible

    def neuroid(self, name: str) -> "Target":
        """The target with this neuroid alone. name: an id, or a position from 0 if no id has this text.

        Raises CornetError for an unknown neuroid (with near names), and for one that cannot be predicted.
        """
        places = np.flatnonzero(self.neuroids == name)
        if not len(places) and name.isdecimal() and int(name) < len(self.neuroids):
            places = np.array([int(name)])
        if not len(places):
            raise CornetError(
                f"{self.name} has no neuroid {name!r}; {suggestion(name, [*self.neuroids.tolist(), ALL])}"
            )
        one = places[:1]
        chosen = str(self.neuroids[one[0]])
        if chosen in self.reasons:
            raise CornetError(
                f"the neuroid {chosen} of {self.name} cannot be predicted, since {self.reasons[chosen]}; choose "
                "another."
            )
        halves = None if self.reliabilities is None else self.reliabilities[:, one]
        return replace(
            self, neuroids=self.neuroids[one], responses=self.responses[:, one], reliabilities=halves
        )


def open_target(
    text: str,
    neuroid: str = ALL,
    *,
    groups: str | None = None,
    time_bin: tuple[float, float] | None = None,
    ignore: list[str] | None = None,
    square_roots: bool = False,
    folds: int = 10,
    seed: int = 1,
) -> Target:
    """Open the responses of a bundle.

    text: a folder with a bundle, with its region if it has several (my-bundle:V4), or the name of a neural benchmark.
    neuroid: an id, a position, or "all". groups: column of the stimuli that stay in one fold; "none": no groups; None:
    as the bundle states, or its movies. time_bin: in ms, of a bundle with several. square_roots: take the square root
    of the response at each repetition, which makes skewed responses more even. seed: of the folds.

    Raises CornetError for unknown names (with near names), too few stimuli, neuroids that cannot be predicted, and
    square roots of negative responses.
    """
    benchmark = _neural(text, {"groups": groups, "time_bin": time_bin, "ignore": ignore})
    responses = benchmark.responses if benchmark.responses.repeated is None else benchmark.load_responses()
    column = benchmark.groups
    labels = None if column is None else categories(responses.table[column], column, f"the stimuli of {text}")
    notes = list(benchmark.rule.notes) if column else []
    if benchmark.rule.fixed:
        notes.append(f"the one fixed split of the bundle is not used, but {folds} folds")
    target = Target(
        name=benchmark.name,
        stimuli=benchmark.stimuli.subset(benchmark.stimuli.positions(list(responses.stimulus_ids))),
        neuroids=responses.neuroid_ids,
        responses=responses.mean,
        folds=make_folds(len(responses.mean), folds, labels, seed),
        reliabilities=_reliabilities(responses),
        groups=labels,
        grouped_by=column or "",
        degrees=benchmark.degrees,
        time_bin=responses.time_bin,
        region=benchmark.region or "",
        step_bin=benchmark.step_bin,
        simulated=benchmark.simulated,
        notes=(*responses.notes, *notes),
    )
    if neuroid != ALL:
        target = target.neuroid(neuroid)
    if square_roots:
        target = with_square_roots(target, responses)
    if len(target.reasons) == len(target.neuroids):
        name, why = next(iter(target.reasons.items()))
        raise CornetError(
            f"none of the {len(target.neuroids)} neuroids of {target.name} can be predicted (first: {name}, since "
            f"{why}); use another bundle."
        )
    return target


def with_square_roots(target: Target, responses: Responses) -> Target:
    """The target with the square root of each repetition, or of the average where there are none."""
    columns = np.isin(responses.neuroid_ids, target.neuroids)
    given = responses.mean if responses.repetitions is None else responses.repetitions
    roots = given[..., columns].astype(np.float64)
    if (roots < 0).any():
        first = target.neuroids[(roots < 0).any(axis=tuple(range(roots.ndim - 1)))][0]
        raise CornetError(
            f"the neuroid {first} has a response of {float(np.nanmin(roots)):g}, but square roots need rates of at "
            "least 0; leave --sqrt out."
        )
    np.sqrt(roots, out=roots)
    if responses.repetitions is None:
        return replace(target, responses=roots, square_roots=True)
    shown = None if responses.weights is None else responses.weights[..., columns]
    weights = np.isfinite(roots) * (1.0 if shown is None else shown)
    counts = weights.sum(axis=0)
    total = (np.nan_to_num(roots) * weights).sum(axis=0)
    mean = np.divide(total, counts, out=np.full(counts.shape, np.nan), where=counts > 0)
    halves = internal_consistency(roots, shown, splits=HALVES).values
    return replace(target, responses=mean, reliabilities=halves, square_roots=True)


def _neural(text: str, options: dict[str, Any]) -> NeuralBenchmark:
    """Open the one neural benchmark that a text names. Raises CornetError for none, and for several regions."""
    opened = [one for one in open_benchmarks([text], **options) if isinstance(one, NeuralBenchmark)]
    if not opened:
        raise CornetError(
            f"{text} has no responses of single neuroids; name a bundle with an assembly of them."
        )
    if len(opened) > 1:
        names = ", ".join(f"{text}:{one.region}" for one in opened[:8])
        raise CornetError(f"{text} has several regions; name one: {names}.")
    return opened[0]


def _reliabilities(responses: Responses) -> NDArray[np.float64] | None:
    if responses.repetitions is None:
        return None
    return internal_consistency(responses.repetitions, responses.weights, splits=HALVES).values

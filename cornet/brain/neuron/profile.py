"""Score every layer of several subjects on one neuroid, or on all neuroids of a region.

Method: Kalfas, Kumar & Vogels 2017 (eNeuro 4, 0113-17.2017), who predict single neurons from each layer of VGG-16; what
their paper leaves open is chosen here. The score is r^2 between held-out predictions, pooled over folds, and mean
responses, with the sign of r, divided by the reliability of the neuroid: its explained explainable variance.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from cornet.brain.metrics.resampling import DRAWS, nan_medians, weighted_correlations
from cornet.brain.neuron.estimators import METHODS, PENALTIES, Prediction, predict
from cornet.brain.neuron.layers import read_layers
from cornet.brain.neuron.target import MIN_RELIABILITY, Target
from cornet.brain.subjects.subject import Site, Subject
from cornet.errors import check_choice

__all__ = ["SHUFFLES", "Interval", "Profile", "SiteScore", "profile"]

SHUFFLES = 20
"""Permutations of one neuroid's responses; of several neuroids, each is permuted once."""


@dataclass(frozen=True)
class Interval:
    """A value and its 95 % interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, eq=False)
class SiteScore:
    """A layer at one step.

    prediction: of all neuroids. explained: (neuroid,), sign(r) r^2 over the reliability, if that is known. r:
    (neuroid,). draws: (draw,) of `value`. shuffled: (permutation,), the value of permuted responses.
    """

    model: str
    site: Site
    width: int
    prediction: Prediction = field(repr=False)
    r: NDArray[np.float64] = field(repr=False)
    explained: NDArray[np.float64] = field(repr=False)
    low: NDArray[np.float64] = field(repr=False)
    high: NDArray[np.float64] = field(repr=False)
    draws: NDArray[np.float64] = field(repr=False)
    shuffled: NDArray[np.float64] = field(repr=False)
    value: float = float("nan")

    @property
    def interval(self) -> Interval:
        """Of the neuroid over images, or of the median over neuroids."""
        return Interval(self.value, *quantiles(self.draws))

    @property
    def chance(self) -> float:
        """Mean over permutations of the value of shuffled responses; NaN if the layer is constant."""
        return mean_of(self.shuffled)


@dataclass(frozen=True, eq=False)
class Profile:
    """Scores of all sites, in the order of the models and of their layers.

    recording_seconds, comparing_seconds: durations; recording includes the Gram matrices. twins: untrained network by
    trained one.
    """

    target: Target
    sites: list[SiteScore]
    method: str
    penalty: str
    recording_seconds: float = 0.0
    comparing_seconds: float = 0.0
    twins: dict[str, str] = field(default_factory=dict)

    @property
    def models(self) -> list[str]:
        return list(dict.fromkeys(one.model for one in self.sites))

    @property
    def single(self) -> bool:
        return len(self.target.neuroids) == 1

    def of(self, model: str) -> list[SiteScore]:
        return [one for one in self.sites if one.model == model]

    def best_of(self, model: str) -> SiteScore | None:
        """The best site of a model; None if none has a value."""
        valid = [one for one in self.of(model) if np.isfinite(one.value)]
        return max(valid, key=lambda one: one.value, default=None)

    @cached_property
    def best(self) -> SiteScore | None:
        valid = [one for one in self.sites if np.isfinite(one.value)]
        return max(valid, key=lambda one: one.value, default=None)

    def gap(self, one: SiteScore, other: SiteScore) -> Interval:
        """The paired difference of two sites: every draw takes the same images or neuroids."""
        return Interval(one.value - other.value, *quantiles(one.draws - other.draws))

    @cached_property
    def ties(self) -> list[SiteScore]:
        """Sites that cannot be told apart from the best one (95 % interval of the paired difference includes 0)."""
        best = self.best
        if best is None:
            return []
        others = [one for one in self.sites if one is not best and np.isfinite(one.value)]
        return [one for one in others if self.gap(best, one).low <= 0]

    def renamed(self, names: Mapping[str, str]) -> "Profile":
        """The same with other names of the models."""
        sites = [replace(one, model=names.get(one.model, one.model)) for one in self.sites]
        twins = {names.get(a, a): names.get(b, b) for a, b in self.twins.items()}
        return replace(self, sites=sites, twins=twins)

    @property
    def left_out(self) -> list[str]:
        """Notes on neuroids that are not in the median, with counts and reasons."""
        target = self.target
        notes = [f"neuroid {name} is left out: {why}" for name, why in list(target.reasons.items())[:5]]
        if len(target.reasons) > 5:
            notes.append(f"{len(target.reasons) - 5} more neuroids have no or constant responses")
        if target.has_ceiling and self.single and not target.reliable.all():
            notes.append(
                f"the reliability of {target.neuroids[0]} is {target.reliability[0]:.2f}, below {MIN_RELIABILITY:g}: "
                "the explained variance is little more than noise"
            )
        possible = ~np.isin(target.neuroids, list(target.reasons))
        low = int((possible & ~target.reliable).sum())
        if low and not self.single:
            notes.append(
                f"{low} of {len(target.neuroids)} neuroids have a reliability below {MIN_RELIABILITY:g} and are not in "
                "the median"
            )
        return notes

    def table(self) -> pd.DataFrame:
        """One row per site, and per neuroid if there are several: model, layer, step, neuroid, scores."""
        rows = []
        target = self.target
        for one in self.sites:
            common = {
                "model": one.model,
                "layer": one.site.layer,
                "step": one.site.step,
                "features": one.width,
            }
            for number, name in enumerate(target.neuroids):
                row = {**common, "neuroid": str(name), "nEV": one.explained[number], "low": one.low[number]}
                row |= {
                    "high": one.high[number],
                    "r": one.r[number],
                    "lambda": one.prediction.penalties[number],
                }
                row |= {"dimensions": one.prediction.dimensions[number]}
                row |= {"shuffled": one.chance if self.single else np.nan}
                row |= {"reliability": target.reliability[number]}
                rows.append(row)
            if not self.single:
                counted = target.reliable
                row = {**common, "neuroid": "median", "nEV": one.value, "low": one.interval.low}
                row |= {"high": one.interval.high, "r": float(nan_medians(one.r[None, counted])[0])}
                row |= {"lambda": float(nan_medians(one.prediction.penalties[None, counted])[0])}
                row |= {"dimensions": float(nan_medians(one.prediction.dimensions[None, counted])[0])}
                row |= {"shuffled": one.chance}
                row |= {"reliability": float(nan_medians(target.reliability[None, counted])[0])}
                rows.append(row)
        return pd.DataFrame(rows)


def profile(
    target: Target,
    subjects: Sequence[Subject],
    sites: Sequence[Sequence[Site]],
    *,
    method: str = "kernel_ridge",
    penalty: str = "folds",
    project: bool = False,
    twins: dict[str, str] | None = None,
    device: torch.device | str = "cpu",
    seed: int = 1,
    progress: bool = False,
    log: Callable[[str], None] = lambda message: None,
) -> Profile:
    """Record the sites of each subject and predict the target from each.

    sites: of each subject. method, penalty: as in `cornet.brain.neuron.estimators.predict`. project: see `read_layers`.
    twins: untrained network by trained one. seed: of permutations and draws. progress: show progress bars. log: is
    called with messages. Raises CornetError for an unknown method or penalty, before anything is recorded.
    """
    check_choice("method", method, METHODS)
    check_choice("penalty", penalty, PENALTIES)
    rng = np.random.default_rng(seed)
    weights = image_weights(target, rng)
    drawn = rng.integers(int(target.reliable.sum()) or 1, size=(DRAWS, int(target.reliable.sum())))
    answers, permuted = target.responses, permutations(target, rng)
    scores, recording, comparing = [], 0.0, 0.0
    for subject, own in zip(subjects, sites, strict=True):
        log(f"{subject.name}: recording {len(own)} layer{'s' if len(own) != 1 else ''}")
        start = time.perf_counter()
        layers = read_layers(
            subject,
            target.stimuli,
            own,
            target.degrees,
            project=project,
            device=device,
            label=subject.name if progress else "",
        )
        recording += time.perf_counter() - start
        start = time.perf_counter()
        for layer in layers:
            both = np.concatenate([answers, permuted], axis=1)
            found = predict(layer, both, target.folds, method, penalty, target.groups)
            scores.append(
                site_score(target, subject.name, layer.site, layer.width, found, both, weights, drawn)
            )
        comparing += time.perf_counter() - start
        log(f"{subject.name}: compared")
    return Profile(target, scores, method, penalty, recording, comparing, dict(twins or {}))


def site_score(
    target: Target,
    model: str,
    site: Site,
    width: int,
    found: Prediction,
    responses: NDArray[np.float64],
    weights: NDArray[np.float64],
    drawn: NDArray[np.int64],
) -> SiteScore:
    """Score the predictions of a site. responses: (stimulus, neuroid), of the target, then permuted ones."""
    neuroids, single = len(target.neuroids), len(target.neuroids) == 1
    r = weighted_correlations(found.values, responses, np.ones((1, len(responses))))[0]
    divisor = ceiling_of(target)
    own, shuffled = r[:neuroids], r[neuroids:].reshape(-1, neuroids)
    explained, by_chance = own * np.abs(own) / divisor, shuffled * np.abs(shuffled) / divisor
    over_images = weighted_correlations(found.values[:, :neuroids], target.responses, weights)
    over_images = over_images * np.abs(over_images) / divisor
    low, high = np.array([quantiles(column) for column in over_images.T]).T
    counted = target.reliable
    if single:
        value, draws, chance = float(explained[0]), over_images[:, 0], by_chance[:, 0]
    else:
        value = float(nan_medians(explained[None, counted])[0]) if counted.any() else float("nan")
        draws = nan_medians(explained[counted][drawn]) if counted.any() else np.full(DRAWS, np.nan)
        chance = nan_medians(by_chance[:, counted]) if counted.any() else np.full(1, np.nan)
    prediction = Prediction(
        found.values[:, :neuroids], found.penalties[:neuroids], found.dimensions[:neuroids]
    )
    return SiteScore(model, site, width, prediction, own, explained, low, high, draws, chance, value)


def ceiling_of(target: Target) -> NDArray[np.float64]:
    """The reliability of each neuroid; NaN if it is not above 0; 1 for averaged responses, whose ceiling is unknown."""
    if not target.has_ceiling:
        return np.ones(len(target.neuroids))
    return np.where(target.reliability > 0, target.reliability, np.nan)


def image_weights(target: Target, rng: Any) -> NDArray[np.float64]:
    """How often each image is drawn, (draw, image); images of a group are drawn together."""
    count = len(target.responses)
    _, members = np.unique(np.arange(count) if target.groups is None else target.groups, return_inverse=True)
    units = int(members.max()) + 1
    drawn: NDArray[np.float64] = rng.multinomial(units, np.full(units, 1 / units), DRAWS)[:, members]
    return drawn.astype(float)


def permutations(target: Target, rng: Any) -> NDArray[np.float64]:
    """Responses of each neuroid in a random order of its images, (image, permutation x neuroid)."""
    count = SHUFFLES if len(target.neuroids) == 1 else 1
    result = np.tile(target.responses, (1, count))
    for column in result.T:
        known = np.isfinite(column)
        column[known] = rng.permutation(column[known])
    return result


def mean_of(values: NDArray[np.float64]) -> float:
    """Mean of the values that are finite; NaN without any."""
    valid = values[np.isfinite(values)]
    return float(valid.mean()) if len(valid) else float("nan")


def quantiles(draws: NDArray[np.float64]) -> tuple[float, float]:
    """The central 95 % of draws; NaN without any."""
    valid = draws[np.isfinite(draws)]
    if not len(valid):
        return float("nan"), float("nan")
    low, high = np.quantile(valid, [0.025, 0.975])
    return float(low), float(high)

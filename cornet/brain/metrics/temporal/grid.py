"""Every time bin of the responses against every step of every area: which step explains which part of the response?

Each pair of bin and step is a fit of its own, on the same splits. All bins of a site share its factorisation: ridge and
ridgecv solve for the neuroids of all bins at once (ridgecv chooses a penalty for each bin), and pls fits each bin on
the same Gram matrix.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import ArrayLike, NDArray

from cornet.brain.metrics.ceiling import internal_consistency
from cornet.brain.metrics.predictivity import Metric, neural_predictivity
from cornet.brain.metrics.resampling import nan_medians
from cornet.brain.metrics.splits import make_splits
from cornet.brain.score import medians
from cornet.brain.subjects.base import to_site
from cornet.brain.subjects.subject import Site
from cornet.errors import CornetError

__all__ = ["Latency", "TemporalScore", "temporal_predictivity"]

DRAWS = 1000
DEVIATIONS = 3
"""Standard deviations of the baseline that an onset exceeds."""

MIN_BASELINE = 2
"""Bins before 0 ms that an onset needs."""

EARLY, LATE = (70.0, 150.0), (150.0, 250.0)
"""Parts of the response, in ms after the onset of the image."""


@dataclass(frozen=True)
class Latency:
    """A time in ms and its 95 % interval over neuroids; NaN if undefined.

    undefined: share of the draws without a value. The interval is NaN if it is more than half.
    """

    value: float
    low: float
    high: float
    undefined: float = 0.0


@dataclass(frozen=True, eq=False)
class TemporalScore:
    """Predictivity of each site in each bin.

    sites: areas and steps. bins: (bin, 2), start and end in ms after the onset of the image. values: (site, split, bin,
    neuroid), Pearson's r. ceiling: (bin,), the median internal consistency of that bin, NaN without repetitions.
    reliable: (bin,), the number of neuroids with a consistency above 0. notes: what was left out, with counts.
    """

    sites: tuple[Site, ...]
    bins: NDArray[np.float64]
    values: NDArray[np.float64] = field(repr=False)
    ceiling: NDArray[np.float64] = field(repr=False)
    reliable: NDArray[np.int64] = field(repr=False)
    metric: str = ""
    notes: tuple[str, ...] = ()

    @property
    def centres(self) -> NDArray[np.float64]:
        """(bin,), in ms."""
        return self.bins.mean(axis=1)

    @property
    def raw(self) -> NDArray[np.float64]:
        """(site, bin): the median over neuroids, averaged over splits."""
        return self._of_splits()[0]

    @property
    def error(self) -> NDArray[np.float64]:
        """(site, bin): standard deviation over splits / sqrt(splits)."""
        return self._of_splits()[1]

    def _of_splits(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        sites, splits, bins, neuroids = self.values.shape
        middle = medians(self.values.reshape(-1, neuroids)).reshape(sites, splits, bins)
        known = np.isfinite(middle)
        count = np.maximum(known.sum(axis=1), 1)
        mean = np.where(known, middle, 0).sum(axis=1) / count
        spread = np.where(known, middle - mean[:, None], 0)
        error = np.sqrt((spread**2).sum(axis=1) / count / count)
        defined = known.any(axis=1)
        return np.where(defined, mean, math.nan), np.where(defined, error, math.nan)

    def table(self) -> pd.DataFrame:
        """One row for each site and bin: area, step, start, end, raw, error, ceiling, value (r^2 / c), reliable."""
        raw, error = self.raw, self.error
        rows = [
            {
                "area": site.layer,
                "step": site.step,
                "start": start,
                "end": end,
                "raw": raw[k, b],
                "error": error[k, b],
                "ceiling": self.ceiling[b],
                "value": raw[k, b] ** 2 / self.ceiling[b] if self.ceiling[b] > 0 else math.nan,
                "reliable": self.reliable[b],
            }
            for k, site in enumerate(self.sites)
            for b, (start, end) in enumerate(self.bins)
        ]
        return pd.DataFrame(rows)

    @property
    def areas(self) -> list[str]:
        return list(dict.fromkeys(site.layer for site in self.sites))

    def best_steps(self, area: str) -> NDArray[np.int64]:
        """(bin,): the step of an area that predicts each bin best; -1 for a bin without a score."""
        rows = self._rows(area)
        raw = self.raw[rows]
        steps = np.array([self.sites[row].step for row in rows])
        best = steps[np.nan_to_num(raw, nan=-np.inf).argmax(axis=0)]
        return np.where(np.isfinite(raw).any(axis=0), best, -1)

    def onset(self, area: str) -> Latency:
        """The start of the first bin whose score exceeds the mean of the bins before 0 ms by 3 standard deviations.

        The score of an area is that of its best step in each bin, before 0 ms too. Undefined with fewer than two bins
        before 0 ms; with few, noise often exceeds them.
        """
        return self._latency(area, self._first_above_baseline)

    def peak(self, area: str) -> Latency:
        """The centre of the bin with the largest score of the area's best step."""

        def largest(curves: NDArray[np.float64]) -> NDArray[np.float64]:
            known = np.isfinite(curves).any(axis=1)
            return np.where(known, self.centres[np.nan_to_num(curves, nan=-np.inf).argmax(axis=1)], math.nan)

        return self._latency(area, largest)

    def late_minus_early(self, site: Site) -> Latency:
        """Mean score in 150-250 ms minus that in 70-150 ms (not a time); bins belong where their centre is."""
        place = self.sites.index(site)
        early, late = ((self.centres >= start) & (self.centres < end) for start, end in (EARLY, LATE))

        def difference(curves: NDArray[np.float64]) -> NDArray[np.float64]:
            if not (early.any() and late.any()):
                return np.full(len(curves), math.nan)
            return curves[:, late].mean(axis=1) - curves[:, early].mean(axis=1)

        return interval(difference(self.raw[place : place + 1])[0], difference(self._draws([place])[0]))

    def _rows(self, area: str) -> list[int]:
        rows = [k for k, site in enumerate(self.sites) if site.layer == area]
        if not rows:
            raise CornetError(
                f"there are no steps of the area {area!r}; choose one of {', '.join(self.areas)}."
            )
        return rows

    def _first_above_baseline(self, curves: NDArray[np.float64]) -> NDArray[np.float64]:
        before = self.bins[:, 1] <= 0
        after = np.flatnonzero(self.bins[:, 0] >= 0)
        if before.sum() < MIN_BASELINE or not len(after):
            return np.full(len(curves), math.nan)
        baseline = curves[:, before]
        limit = baseline.mean(axis=1) + DEVIATIONS * baseline.std(axis=1)
        above = curves[:, after] > limit[:, None]
        return np.where(above.any(axis=1), self.bins[after[above.argmax(axis=1)], 0], math.nan)

    def _latency(self, area: str, of_curves: Any) -> Latency:
        rows = self._rows(area)
        with np.errstate(invalid="ignore"):
            value = of_curves(best_of(self.raw[rows])[None])[0]
            return interval(value, of_curves(best_of(self._draws(rows))))

    def _draws(self, rows: Sequence[int]) -> NDArray[np.float64]:
        """Scores of drawn neuroids, (site, draw, bin): r averaged over splits, then the median over neuroids."""
        neuroids = self.values.shape[3]
        chosen = np.random.default_rng(0).integers(neuroids, size=(DRAWS, neuroids))
        known = np.isfinite(self.values[rows])
        total = np.where(known, self.values[rows], 0).sum(axis=1)
        count = known.sum(axis=1)
        mean = np.divide(
            total, count, out=np.full(total.shape, math.nan), where=count > 0
        )  # (site, bin, neuroid)
        drawn = np.empty((len(rows), DRAWS, mean.shape[1]))
        for k, one in enumerate(mean):
            for b, values in enumerate(one):
                drawn[k, :, b] = nan_medians(values[chosen])
        return drawn


def best_of(curves: NDArray[np.float64]) -> NDArray[np.float64]:
    """The largest over the first axis, NaN skipped."""
    return np.fmax.reduce(curves, axis=0)


def interval(value: float, draws: NDArray[np.float64]) -> Latency:
    """The value with the 95 % interval of its draws, NaN skipped."""
    known = draws[np.isfinite(draws)]
    enough = math.isfinite(value) and len(known) >= len(draws) / 2
    low, high = np.quantile(known, (0.025, 0.975)) if enough else (math.nan, math.nan)
    return Latency(float(value), float(low), float(high), 1 - len(known) / len(draws))


def temporal_predictivity(
    states: Mapping[Any, Any],
    responses_by_bin: ArrayLike,
    bins: ArrayLike,
    metric: Metric = "ridgecv",
    stratify: ArrayLike | None = None,
    groups: ArrayLike | None = None,
    splits: int | Iterable[tuple[ArrayLike, ArrayLike]] = 10,
    train_fraction: float = 0.9,
    seed: int = 1,
    *,
    repetitions: ArrayLike | None = None,
    device: torch.device | str = "cpu",
    **options: Any,
) -> TemporalScore:
    """Predict the responses in every time bin from every site of a subject.

    states: by site ("V4[2]", a Site, or an area and a step), features (stimulus, feature). responses_by_bin: (bin,
    stimulus, neuroid), averaged over repetitions, NaN where missing. bins: (bin, 2), start and end in ms after the
    onset of the image; they must not overlap. repetitions: (repetition, bin, stimulus, neuroid), for the ceiling of
    each bin. Others: as in `neural_predictivity`, which `options` go to.

    Raises CornetError for shapes that do not match and for bins that overlap, and as `neural_predictivity`.
    """
    answers = np.asarray(responses_by_bin, float)
    edges = np.asarray(bins, float)
    if answers.ndim != 3 or 0 in answers.shape:
        raise CornetError(
            f"responses_by_bin of shape {answers.shape} must be (bin, stimulus, neuroid) and not empty."
        )
    if edges.shape != (len(answers), 2):
        raise CornetError(
            f"bins of shape {edges.shape} must be ({len(answers)}, 2): start and end of each bin in ms."
        )
    check_bins(edges)
    if not states:
        raise CornetError("states is empty; give the features of one site or more.")
    count, stimuli, neuroids = answers.shape
    stacked = answers.transpose(1, 0, 2).reshape(stimuli, -1)
    which = np.repeat(np.arange(count), neuroids)
    pairs = make_splits(
        stimuli, stratify=stratify, groups=groups, splits=splits, train_fraction=train_fraction, seed=seed
    )
    found: dict[Site, NDArray[np.float64]] = {}
    notes: list[str] = []
    if metric == "ridgecv":
        options = {"alpha_per": "subject", "subjects": which, **options}
    for name, features in states.items():
        site = name if isinstance(name, Site) else to_site(name) if isinstance(name, str) else Site(*name)
        score = neural_predictivity(
            features, stacked, metric, splits=pairs, targets=which, device=device, **options
        )
        found[site] = score.values.reshape(len(pairs), count, neuroids)
        notes += [note for note in score.notes if note not in notes]
    ceiling, reliable = np.full(count, math.nan), np.zeros(count, int)
    if repetitions is not None:
        given = np.asarray(repetitions)
        if given.ndim != 4 or given.shape[1:] != answers.shape:
            raise CornetError(
                f"repetitions of shape {given.shape} must be (repetition, {', '.join(map(str, answers.shape))})."
            )
        for b in range(count):
            consistency = internal_consistency(given[:, b])
            ceiling[b] = consistency.raw
            known = np.isfinite(consistency.values).any(axis=0)
            reliable[b] = int((np.nanmean(consistency.values[:, known], axis=0) > 0).sum())
    return TemporalScore(
        tuple(found), edges, np.stack(list(found.values())), ceiling, reliable, metric, tuple(notes)
    )


def check_bins(edges: NDArray[np.float64]) -> None:
    """Raise CornetError for bins that end before they start, or overlap."""
    for start, end in edges:
        if not end > start:
            raise CornetError(f"the bin {start:g} to {end:g} ms must end after it starts; correct it.")
    order = np.argsort(edges[:, 0])
    for one, other in zip(edges[order[:-1]], edges[order[1:]], strict=True):
        if other[0] < one[1] - 1e-9:
            raise CornetError(
                f"the bins {one[0]:g} to {one[1]:g} and {other[0]:g} to {other[1]:g} ms overlap, so that they share "
                "spikes; use bins side by side."
            )

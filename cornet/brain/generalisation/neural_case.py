"""A model and a neural benchmark: what all kinds of generalisation share."""

import dataclasses
from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cornet.brain.benchmarks.base import rows_of
from cornet.brain.benchmarks.neural import NeuralBenchmark
from cornet.brain.data.same_images import image_keys
from cornet.brain.generalisation.rows import Measured, Row, row
from cornet.brain.metrics.by_subject import part_of
from cornet.brain.metrics.resampling import UNPAIRED, raw_draws
from cornet.brain.metrics.splits import Split
from cornet.brain.scales import to_scale
from cornet.brain.score import Score
from cornet.brain.subjects.subject import Recording, Site, Subject
from cornet.errors import CornetError

__all__ = ["NeuralCase", "candidate_sites"]

Columns = NDArray[np.int64]

MIN_STIMULI = 20
"""Fewer stimuli cannot be split ten ways with two or more in each test set."""


def candidate_sites(subject: Subject) -> list[Site]:
    """The sites among which a layer is chosen: those that can stand for a region, or else all."""
    sites: list[Site] = getattr(subject, "region_sites", subject.sites)()
    return sites


class NeuralCase:
    """A subject, the benchmark, and the recording of the benchmark's site and of all candidates for it.

    label: label of the progress bar. Raises CornetError for a metric without a fit, for fewer than 20 stimuli, and if
    all neuroids are silent or constant.
    """

    def __init__(self, subject: Subject, benchmark: NeuralBenchmark, label: str = "") -> None:
        if benchmark.comparison.has_suffix:
            raise CornetError(
                f"the metric {benchmark.metric} predicts no neuroids, so it cannot generalise; use a mapping, such as "
                "pls or ridge."
            )
        mean = benchmark.responses.mean
        if len(mean) < MIN_STIMULI:
            raise CornetError(
                f"{benchmark.name} has {counted(len(mean))}, but generalisation needs at least {MIN_STIMULI}; use a "
                "bundle with more."
            )
        varies = np.fmax.reduce(mean, axis=0) > np.fmin.reduce(mean, axis=0)
        if not varies.any():
            raise CornetError(
                f"all {mean.shape[1]} neuroids of {benchmark.name} are silent or constant, so nothing can be "
                "predicted; use other responses."
            )
        benchmark.prepare()
        self.subject, self.benchmark = subject, benchmark
        (self.site,) = benchmark.sites(subject)
        self.candidates = candidate_sites(subject)
        wanted = list(dict.fromkeys([self.site, *self.candidates]))
        self.recording: Recording = subject.record(benchmark.stimuli, wanted, benchmark.degrees, label=label)

    @property
    def mean(self) -> NDArray[np.float64]:
        """Averaged responses, (stimulus, neuroid)."""
        return self.benchmark.responses.mean

    @cached_property
    def keys(self) -> NDArray[np.str_]:
        """A hash of the image of each stimulus, (stimulus,)."""
        return image_keys(self.benchmark.stimuli, self.benchmark.responses.stimulus_ids)

    def features(self, site: Site) -> Any:
        """Features of a site, (stimulus, feature), in the order of the responses."""
        return rows_of(self.recording, site, self.benchmark.stimuli, self.benchmark.responses.stimulus_ids)

    def fit(self, features: Any, responses: NDArray[np.float64], splits: Sequence[Split]) -> Score:
        """Fit and test the benchmark's metric, (stimulus, feature) to (stimulus, neuroid), on these splits."""
        return self.benchmark.comparison.score(features, responses, splits, device=self.benchmark.device)

    @cached_property
    def ordinary(self) -> Score:
        """The benchmark's own score."""
        return self.benchmark.compare(self.recording, self.subject)

    @cached_property
    def by_site(self) -> dict[Site, Score]:
        """The raw score of each candidate on the ordinary splits."""
        return {
            site: self.fit(self.features(site), self.mean, self.benchmark.splits) for site in self.candidates
        }

    def best_site(self, columns: Columns) -> Site:
        """The candidate with the highest raw score for these neuroids; the earlier one of equal scores."""
        raw = {site: part_of(score, columns).raw for site, score in self.by_site.items()}
        if not np.isfinite(list(raw.values())).any():
            raise CornetError(
                f"no site of {self.subject.name} has a score on the chosen neuroids of {self.benchmark.name}; they do "
                "not vary."
            )
        return max(raw, key=lambda site: raw[site] if np.isfinite(raw[site]) else -np.inf)

    def ceiling(self, stimuli: NDArray[np.int64] | None = None, columns: Columns | None = None) -> float:
        """The ceiling of some of the stimuli and neuroids, None for all; NaN for averaged responses."""
        whole = self.benchmark.ceiling if stimuli is None else self.benchmark.ceiling_of(stimuli)
        if whole is None:
            return np.nan
        return whole.raw if columns is None else part_of(whole, columns).raw

    def measured(
        self,
        score: Score,
        ceiling: float,
        *,
        columns: Columns | None = None,
        stimuli: NDArray[np.int64] | None = None,
    ) -> Measured:
        """Put a raw score on the benchmark's scale, and draw its value.

        Draws take the same neuroids and stimuli for every score of the benchmark with the same columns and stimuli.
        columns, stimuli: those that the score is of; None: all.
        """
        answers, groups = self.mean, self.benchmark._column(self.benchmark.groups)
        if stimuli is not None:
            answers, groups = answers[stimuli], None if groups is None else groups[stimuli]
        if columns is not None:
            answers = answers[:, columns]
        scale = self.benchmark.scale if np.isfinite(ceiling) else "raw"
        scaled = score.with_ceiling(ceiling, scale)
        raw, unit = raw_draws(score, self.benchmark.name, self.subject.name, answers, groups)
        draws = np.array([to_scale(value, ceiling, scale) for value in raw])
        neuroids = int(np.isfinite(score.values).any(axis=0).sum()) if score.values.ndim == 2 else 0
        return Measured(scaled, draws, "" if unit == UNPAIRED else unit, neuroids)

    @cached_property
    def reference(self) -> Measured:
        """The ordinary score with its draws. The ceiling is that of the benchmark."""
        measured = self.measured(self.ordinary, self.ceiling())
        return dataclasses.replace(measured, score=self.ordinary)

    def row(self, kind: str, measured: Measured, **fields: Any) -> Row:
        site = fields.pop("site", self.site)
        return row(self.subject.name, self.benchmark.name, kind, measured, site=str(site), **fields)


def counted(stimuli: int) -> str:
    return "1 stimulus" if stimuli == 1 else f"{stimuli} stimuli"

"""Representational similarity to a region of which only dissimilarities are there, as of human imaging."""

from collections.abc import Callable
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cornet.brain.benchmarks.base import Benchmark, rows_of
from cornet.brain.data.rdm_bundle import RdmBundle
from cornet.brain.metrics.similarity import compare_rdms, rdm, rdm_noise_ceiling
from cornet.brain.score import Score
from cornet.brain.subjects.subject import Recording, Site, Subject
from cornet.stimuli.stimulus_set import StimulusSet

__all__ = ["RdmBenchmark"]


class RdmBenchmark(Benchmark[RdmBundle]):
    """Spearman between the upper triangles of the subject's RDM (1 - Pearson) and each brain's, averaged over brains.

    Kriegeskorte, Mur & Bandettini (2008); the ceiling is the lower bound of Nili et al. (2014): how well the other
    brains' mean RDM does. A model of the mean can come above it; the upper bound is in the notes. error: the standard
    error over brains. The value is shown as it is, on the scale raw.

    area: the region or layer of the subject that is compared; None: the one of the same name, at its last step:
    imaging does not resolve steps.
    """

    def __init__(
        self,
        name: str,
        region: str,
        what: str,
        load: Callable[[], RdmBundle],
        *,
        area: str | Site | None = None,
        **options: Any,
    ) -> None:
        super().__init__(name, region, what, load, scale="raw", split_rule="none", **options)
        self.area = area

    @property
    def stimuli(self) -> StimulusSet:
        return self.data.stimuli

    def brain_side(self) -> list[NDArray[Any]]:
        return [self.data.stimulus_ids, self.data.rdms[self.region]]

    @cached_property
    def bounds(self) -> tuple[float, float]:
        """The noise ceiling: lower and upper; NaN for a group's RDM alone."""
        rdms = self.data.rdms[self.region]
        return rdm_noise_ceiling(rdms) if len(rdms) > 1 else (np.nan, np.nan)

    def sites(self, subject: Subject) -> list[Site]:
        if isinstance(self.area, Site):
            return [self.area]
        layer = subject.site(self.area or self.region).layer
        return [max((site for site in subject.sites() if site.layer == layer), key=lambda site: site.step)]

    def memory(self, width: int) -> int:
        """Two matrices over the stimuli; the features are read in blocks."""
        return 2 * 8 * len(self.stimuli) ** 2

    def extent(self) -> str:
        return "dissimilarities of all pairs"

    def exclusions(self) -> list[str]:
        return [
            *self.data.notes.get(self.region, ()),
            *self.without(self.data.stimulus_ids, "dissimilarities"),
        ]

    def score(self, recording: Recording, subject: Subject) -> Score:
        ids = self.data.stimulus_ids
        (site,) = self.sites(subject)
        own = rdm(rows_of(recording, site, self.stimuli, ids), device=self.device)
        values = np.array([compare_rdms(own, brain) for brain in self.data.rdms[self.region]])
        lower, upper = self.bounds
        known = len(values) > 1
        notes = [f"noise ceiling {lower:.3f} to {upper:.3f}" if known else "one RDM: no noise ceiling"]
        silent = int(np.isnan(own.diagonal()).sum())
        if silent:
            notes.append(f"{silent} of {len(ids)} stimuli, to which all features are equal, are left out")
        there = values[np.isfinite(values)]
        if len(there) < len(values):
            notes.append(
                f"{len(values) - len(there)} of {len(values)} brains have no correlation and are left out"
            )
        error = float(there.std(ddof=1) / len(there) ** 0.5) if len(there) > 1 else np.nan
        details = {"metric": "rdm", "rdm": own}
        return Score.of_splits(
            values, error=error, ceiling=lower, n=len(ids) - silent, notes=notes, details=details
        )

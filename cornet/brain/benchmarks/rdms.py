"""Representational similarity to regions with dissimilarities only, as from human imaging."""

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

__all__ = ["RdmBenchmark"]


class RdmBenchmark(Benchmark[RdmBundle]):
    """Spearman correlation of the upper triangles of the subject's RDM (1 - Pearson) and each brain's, then the mean.

    Kriegeskorte, Mur & Bandettini (2008). The ceiling is the lower bound of Nili et al. (2014): the correlation of each
    brain with the mean RDM of the others. A model of the mean can exceed it; notes give the upper bound. error: the
    standard error over brains. The value is raw.

    area: region or layer of the subject to compare; None: the region of the same name. Its last step is compared, as
    imaging does not resolve steps.
    """

    def __init__(
        self,
        name: str,
        region: str,
        description: str,
        load: Callable[[], RdmBundle],
        *,
        area: str | Site | None = None,
        **options: Any,
    ) -> None:
        super().__init__(name, region, description, load, scale="raw", split_rule="none", **options)
        self.area = area

    def fingerprint_parts(self) -> list[NDArray[Any]]:
        return [self.data.stimulus_ids, self.data.rdms[self.region]]

    @cached_property
    def bounds(self) -> tuple[float, float]:
        """Lower and upper noise ceiling; NaN if there is only one RDM."""
        rdms = self.data.rdms[self.region]
        return rdm_noise_ceiling(rdms) if len(rdms) > 1 else (np.nan, np.nan)

    def sites(self, subject: Subject) -> list[Site]:
        if isinstance(self.area, Site):
            return [self.area]
        layer = subject.site(self.area or self.region).layer
        return [max((site for site in subject.sites() if site.layer == layer), key=lambda site: site.step)]

    def memory(self, width: int) -> int:
        """Bytes of two stimulus-by-stimulus matrices, as the features are read in blocks."""
        return 2 * 8 * len(self.stimuli) ** 2

    def describe_size(self) -> str:
        return "dissimilarities of all pairs"

    def exclusions(self) -> list[str]:
        return [
            *self.data.notes.get(self.region, ()),
            *self.missing_note(self.data.stimulus_ids, "dissimilarities"),
        ]

    def score(self, recording: Recording, subject: Subject) -> Score:
        ids = self.data.stimulus_ids
        (site,) = self.sites(subject)
        model_rdm = rdm(rows_of(recording, site, self.stimuli, ids), device=self.device)
        values = np.array([compare_rdms(model_rdm, brain) for brain in self.data.rdms[self.region]])
        lower, upper = self.bounds
        several = len(values) > 1
        notes = [f"noise ceiling {lower:.3f} to {upper:.3f}" if several else "one RDM: no noise ceiling"]
        constant = int(np.isnan(model_rdm.diagonal()).sum())
        if constant:
            notes.append(
                f"{constant} of {len(ids)} stimuli have equal values of all features and are left out"
            )
        finite = values[np.isfinite(values)]
        if len(finite) < len(values):
            notes.append(
                f"{len(values) - len(finite)} of {len(values)} brains have no correlation and are left out"
            )
        error = float(finite.std(ddof=1) / len(finite) ** 0.5) if len(finite) > 1 else np.nan
        details = {"metric": "rdm", "rdm": model_rdm}
        return Score.of_splits(
            values, error=error, ceiling=lower, n=len(ids) - constant, notes=notes, details=details
        )

"""Benchmark of object solution times: decode a subject's IT per time bin, and compare with the brain's times."""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from cornet.brain.benchmarks.base import Benchmark
from cornet.brain.data.public.kar2019 import SolutionTimeData
from cornet.brain.metrics.solution_times.solution_times import object_solution_times
from cornet.brain.score import Score
from cornet.brain.subjects.subject import Recording, Site, Subject

__all__ = ["TimesBenchmark"]

CEILING = 0.79
"""Ceiling of the published benchmark (Kar et al. 2019)."""

BIN = 10.0
STARTS = np.arange(70.0, 250.0, BIN)


class TimesBenchmark(Benchmark[SolutionTimeData]):
    """Spearman correlation of solution times (Kar et al. 2019).

    decoder: "reference" (as published: random start, early stopping) or "optimum". seeds: further starts of the
    reference decoder, for `Score.details`. ceiling: divisor of the value. area: region or layer of the subject to
    decode.

    The published score of an untrained network is .19: compare the score of a trained network with it.
    """

    def __init__(
        self,
        name: str,
        description: str,
        load: Callable[[], SolutionTimeData],
        *,
        decoder: str = "reference",
        seeds: Sequence[int] = (),
        ceiling: float = CEILING,
        area: str = "IT",
        **options: Any,
    ) -> None:
        super().__init__(
            name,
            "behaviour",
            description,
            load,
            scale="r/c",
            split_rule="10 splits, 90 % for training, at random",
            time_bin=(70, 250),
            **options,
        )
        self.decoder, self.seeds, self.ceiling, self.area = decoder, tuple(seeds), ceiling, area

    def fingerprint_parts(self) -> list[Any]:
        return [self.data.labels, self.data.ost, self.data.i1, self.ceiling]

    def sites(self, subject: Subject) -> list[Site]:
        return list(dict.fromkeys(self._by_bin(subject)))

    def exclusions(self) -> Sequence[str]:
        return self.data.notes

    def score(self, recording: Recording, subject: Subject) -> Score:
        data = self.data
        score = object_solution_times(
            [recording[site] for site in self._by_bin(subject)],
            data.labels,
            data.ost,
            data.i1,
            STARTS,
            decoder=self.decoder,
            stimulus_ids=data.stimuli.ids,
            device=self.device,
            seeds=self.seeds,
        ).with_ceiling(self.ceiling, self.scale)
        if not np.isfinite(score.raw):
            return score
        note = (
            f"{self.decoder} decoder; compare it with the score of the untrained network, which need not be 0"
        )
        return dataclasses.replace(score, notes=(*score.notes, note))

    def _by_bin(self, subject: Subject) -> list[Site]:
        return [subject.site(self.area, (start, start + BIN)) for start in STARTS]

"""Object solution times as a benchmark: a subject's IT in time bins against the brain's times."""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from cornet.brain.benchmarks.base import Benchmark
from cornet.brain.data.public.kar2019 import SolutionTimeData
from cornet.brain.metrics.solution_times.solution_times import object_solution_times
from cornet.brain.score import Score
from cornet.brain.subjects.subject import Recording, Site, Subject
from cornet.stimuli.stimulus_set import StimulusSet

__all__ = ["CEILING", "TimesBenchmark"]

CEILING = 0.79
"""Of Kar et al. (2019), a constant of the published benchmark."""

BIN = 10.0
STARTS = np.arange(70.0, 250.0, BIN)


class TimesBenchmark(Benchmark[SolutionTimeData]):
    """Spearman's correlation of solution times (Kar et al. 2019).

    decoder: "reference" (as published: stopped early, started at random) or "optimum". seeds: further starts of the
    reference decoder, for the score's details. ceiling: that the value is divided by. area: the region or layer of the
    subject that is decoded.

    The published score of an untrained network is .19, so that of a trained one says something only beside it.
    """

    def __init__(
        self,
        name: str,
        what: str,
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
            what,
            load,
            scale="r/c",
            split_rule="10 splits, 90 % for training, at random",
            time_bin=(70, 250),
            **options,
        )
        self.decoder, self.seeds, self.ceiling, self.area = decoder, tuple(seeds), ceiling, area

    @property
    def stimuli(self) -> StimulusSet:
        return self.data.stimuli

    def brain_side(self) -> list[Any]:
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
        read = f"{self.decoder} decoder; to be read beside an untrained network's score, which is not 0"
        return dataclasses.replace(score, notes=(*score.notes, read))

    def _by_bin(self, subject: Subject) -> list[Site]:
        return [subject.site(self.area, (start, start + BIN)) for start in STARTS]

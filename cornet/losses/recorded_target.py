"""What an area is aligned to: the responses to some stimuli of a bundle by some neuroids; the rest is held out."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from cornet.brain.benchmarks import NeuralBenchmark, open_benchmarks
from cornet.brain.data.bundle import Bundle, without_stimuli
from cornet.brain.data.columns import categories
from cornet.brain.data.split_rule import SplitRule
from cornet.brain.metrics.neural.registry import neural_metric
from cornet.brain.metrics.splits import make_splits
from cornet.brain.subjects.subject import Site
from cornet.errors import CornetError
from cornet.stimuli.screen import place_on_screen

__all__ = ["RecordedTarget", "open_recorded"]

FEWEST = 16
"""Held-in stimuli that an alignment needs."""


@dataclass(frozen=True, eq=False)
class RecordedTarget:
    """Responses of a region, and which of them training may see.

    benchmark: the data. stimuli: positions of the held-in stimuli (of `benchmark.responses`), and the others, held out.
    neuroids: positions of the held-in neuroids, and of the others.
    """

    benchmark: NeuralBenchmark
    stimuli: tuple[NDArray[np.int64], NDArray[np.int64]] = field(repr=False)
    neuroids: tuple[NDArray[np.int64], NDArray[np.int64]] = field(repr=False)

    def responses(self, shuffled: bool, seed: int) -> Tensor:
        """Held-in responses (stimulus, neuroid) float32, z-scored over stimuli; NaN where missing.

        shuffled: permute the stimuli, as a control.
        """
        mean = self.benchmark.responses.mean[np.ix_(self.stimuli[0], self.neuroids[0])].astype(np.float64)
        with np.errstate(invalid="ignore", divide="ignore"):
            scaled = (mean - np.nanmean(mean, axis=0)) / np.nanstd(mean, axis=0)
        if shuffled:
            scaled = scaled[np.random.default_rng((seed, 7)).permutation(len(scaled))]
        return torch.from_numpy(scaled).float()

    def screens(self, size: int, degrees: float) -> Tensor:
        """The held-in stimuli on a screen, (stimulus, 3, size, size) uint8."""
        data, ids = self.benchmark.stimuli, self.benchmark.responses.stimulus_ids[self.stimuli[0]]
        angle = next(one for one in (self.benchmark.degrees, data.degrees, degrees) if one is not None)
        places = data.positions(list(ids))
        return torch.stack([place_on_screen(data.pictures[int(k)], angle, degrees, size) for k in places])

    def benchmarks(self, site: Site | str | None, metric: str) -> list[NeuralBenchmark]:
        """Benchmarks of the held-in and of the held-out neuroids on held-out stimuli.

        A mapping is fitted on the held-in stimuli; a metric without a mapping, such as cka, compares the held-out
        stimuli alone.
        """
        ids = self.benchmark.responses.stimulus_ids
        fixed = tuple(tuple(map(str, ids[one])) for one in self.stimuli)
        fits = neural_metric(metric).is_mapping
        rule = SplitRule(fixed=(fixed[0], fixed[1]) if fits else None, ignore=self.benchmark.rule.ignore)
        unused = () if fits else fixed[0]
        found = []
        for name, neuroids in zip(("held-in-neuroids", "held-out-neuroids"), self.neuroids, strict=True):
            if not len(neuroids):
                continue
            chosen = self.benchmark.responses.neuroid_ids[neuroids]
            one = NeuralBenchmark(
                f"{self.benchmark.name}.{name}",
                self.benchmark.region,
                f"{len(neuroids)} {name.replace('-', ' ')} of {self.benchmark.name}, {len(fixed[1])} held-out stimuli",
                partial(part_of, lambda: self.benchmark.data, chosen, unused),
                rule=rule,
                metric=metric,
                response_bin=self.benchmark.time_bin,
                step_bin=self.benchmark.step_bin,
                area=site,
                degrees=self.benchmark.degrees,
                simulated=self.benchmark.simulated,
                device=self.benchmark.device,
            )
            one.in_means = False
            found.append(one)
        return found


def open_recorded(
    text: str,
    *,
    stimuli: float = 0.8,
    neuroids: float = 0.8,
    seed: int = 0,
    time_bin: tuple[float, float] | None = None,
    groups: str | None = None,
) -> RecordedTarget:
    """Open a bundle (FOLDER, FOLDER:REGION or a benchmark's name) and divide it.

    stimuli, neuroids: the shares that training may see, 0 to 1. Groups of stimuli (as the bundle states, or the column
    `groups`) stay whole. A split that bundle.json fixes is used instead of the share of stimuli. seed: of the division.

    Raises CornetError for data without single neuroids, several regions, shares out of range, and too few stimuli.
    """
    for name, share in (("stimuli", stimuli), ("neuroids", neuroids)):
        if not 0 < share <= 1 or (name == "stimuli" and share == 1):
            raise CornetError(
                f"train_{name}={share!r} is the share that training may see, above 0 and "
                f"{'below' if name == 'stimuli' else 'at most'} 1; give for example 0.8."
            )
    options: dict[str, Any] = {"groups": groups, "time_bin": time_bin}
    opened = [one for one in open_benchmarks([text], **options) if isinstance(one, NeuralBenchmark)]
    if len(opened) != 1:
        regions = (
            f"several regions; name one, such as {text}:{opened[0].region}"
            if opened
            else "no single neuroids"
        )
        raise CornetError(f"{text} has {regions}.")
    (benchmark,) = opened
    responses = benchmark.responses
    column, rule = benchmark.groups, benchmark.rule
    labels = None if column is None else categories(responses.table[column], column, f"the stimuli of {text}")
    count = len(responses.stimulus_ids)
    if rule.fixed:
        sides = tuple(np.flatnonzero(np.isin(responses.stimulus_ids, ids)) for ids in rule.fixed)
        train, test = sides[0], sides[1]
    else:
        ((train, test),) = make_splits(count, groups=labels, splits=1, train_fraction=stimuli, seed=seed)
    if len(train) < FEWEST:
        raise CornetError(
            f"{text} leaves {len(train)} stimuli to align to, but at least {FEWEST} are needed; give a larger bundle "
            "or share."
        )
    varies = np.nanstd(responses.mean[train], axis=0) > 0
    order = np.random.default_rng((seed, 3)).permutation(np.flatnonzero(varies))
    kept = max(1, round(neuroids * len(order)))
    if not len(order):
        raise CornetError(
            f"no neuroid of {text} varies over the {len(train)} held-in stimuli; use another bundle."
        )
    return RecordedTarget(
        benchmark, (np.sort(train), np.sort(test)), (np.sort(order[:kept]), np.sort(order[kept:]))
    )


def part_of(load: Callable[[], Bundle], neuroids: NDArray[np.str_], unused: Sequence[str]) -> Bundle:
    """The bundle with these neuroids alone, without the stimuli `unused`."""
    bundle = load()
    known = bundle.assembly.coords["neuroid_id"].values.astype(str)
    assembly = bundle.assembly.isel(neuroid=np.flatnonzero(np.isin(known, neuroids)))
    part = Bundle(bundle.name, bundle.stimuli, assembly, "")
    return without_stimuli(part, unused) if len(unused) else part

"""Reverse predictivity and matches of single units, as metrics of benchmarks.

See `cornet.brain.metrics.reverse` and `cornet.brain.metrics.matching`, also for the sources.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, ClassVar

import torch
from numpy.typing import ArrayLike

from cornet.brain.metrics.matching import Method, match_ceiling, match_units
from cornet.brain.metrics.neural.base import NeuralMetric
from cornet.brain.metrics.neural.registry import register
from cornet.brain.metrics.resampling import nan_medians
from cornet.brain.metrics.reverse import reverse_ceiling, reverse_predictivity
from cornet.brain.metrics.splits import Split
from cornet.brain.score import Score

__all__ = ["OneToOne", "PartialMatching", "ReversePredictivity", "SemiMatching", "SoftMatching"]


@register("reverse_pls")
class ReversePredictivity(NeuralMetric):
    summary = "predictivity of units from neuroids by partial least squares"
    predicts_neuroids = False
    splits_in_stimulus_order = True

    def score(
        self,
        features: Any,
        responses: ArrayLike,
        splits: Sequence[Split],
        *,
        groups: ArrayLike | None = None,
        device: torch.device | str = "cpu",
    ) -> Score:
        """As `reverse_predictivity`; values (split,), the median over units. groups: not used."""
        found = reverse_predictivity(features, responses, splits=splits, device=device)
        return replace(found, values=nan_medians(found.values))

    def ceiling(self, repetitions: ArrayLike, weights: ArrayLike | None = None) -> Score:
        """As `reverse_ceiling`: the reliability of the predictors. weights: not used."""
        return reverse_ceiling(repetitions)


class UnitMatching(NeuralMetric):
    """Matches made on the training stimuli, correlated over the test stimuli.

    The ceiling is the score of one half of the repetitions matched with the other, corrected to all repetitions by
    2 r / (1 + r). It is too low, since noise hides some pairs, so that values above 1 are possible.
    """

    predicts_neuroids = False
    method: ClassVar[Method]

    def score(
        self,
        features: Any,
        responses: ArrayLike,
        splits: Sequence[Split],
        *,
        groups: ArrayLike | None = None,
        device: torch.device | str = "cpu",
    ) -> Score:
        """As `match_units`; values (split,). groups: not used, since the splits respect them."""
        return match_units(features, responses, self.method, splits=splits, device=device)

    def ceiling(self, repetitions: ArrayLike, weights: ArrayLike | None = None) -> Score:
        halves = match_ceiling(repetitions, self.method, weights)
        return Score.of_splits(2 * halves.values / (1 + halves.values), n=halves.n, notes=halves.notes)


@register("one_to_one")
class OneToOne(UnitMatching):
    summary = "correlation of units and neuroids, matched in pairs"
    method = "one_to_one"


@register("semi")
class SemiMatching(UnitMatching):
    summary = "correlation of units and neuroids with their best match"
    method = "semi"


@register("soft")
class SoftMatching(UnitMatching):
    summary = "as one_to_one, matched in parts by optimal transport"
    method = "soft"


@register("partial")
class PartialMatching(UnitMatching):
    summary = "as soft, of the half that matches best"
    method = "partial"

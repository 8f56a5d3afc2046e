"""Neural predictivity by linear mappings. See `cornet.brain.metrics.predictivity`, also for the sources."""

from collections.abc import Sequence
from typing import Any, ClassVar, cast

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from cornet.brain.metrics.by_subject import part_of
from cornet.brain.metrics.ceiling import internal_consistency
from cornet.brain.metrics.neural.base import NeuralMetric
from cornet.brain.metrics.neural.registry import register
from cornet.brain.metrics.predictivity import Metric, neural_predictivity
from cornet.brain.metrics.splits import Split
from cornet.brain.score import Score

__all__ = [
    "ChosenRidge",
    "LeastSquares",
    "PartialLeastSquares",
    "PowersRidge",
    "Predictivity",
    "ReducedRidge",
    "Ridge",
    "SingleUnits",
]


class Predictivity(NeuralMetric):
    """Pearson's r of predicted and measured responses to the test stimuli; the ceiling is the internal consistency.

    method: the metric of `neural_predictivity`; "": the registered name.
    """

    method: ClassVar[str] = ""

    def score(
        self,
        features: Any,
        responses: ArrayLike,
        splits: Sequence[Split],
        *,
        groups: ArrayLike | None = None,
        device: torch.device | str = "cpu",
    ) -> Score:
        """As `neural_predictivity`. groups: not used, since the splits respect them."""
        name = cast(Metric, self.method or self.name)
        return neural_predictivity(
            features, responses, name, splits=splits, device=device, **self.options(None)
        )

    def options(self, subjects: NDArray[np.str_] | None) -> dict[str, Any]:
        """Further arguments of `neural_predictivity`. subjects: (neuroid,), or None."""
        return {}

    def score_subjects(
        self,
        features: Any,
        responses: NDArray[np.float64],
        splits: Sequence[Split],
        subjects: NDArray[np.str_] | None,
        *,
        groups: ArrayLike | None = None,
        device: torch.device | str = "cpu",
    ) -> dict[str, Score]:
        """As in `NeuralMetric`; subjects share one factorisation of the features. ridgecv: a penalty for each."""
        if subjects is None:
            return super().score_subjects(features, responses, splits, None, groups=groups, device=device)
        name, options = cast(Metric, self.method or self.name), self.options(subjects)
        whole = neural_predictivity(
            features, responses, name, splits=splits, targets=subjects, device=device, **options
        )
        return {str(name): part_of(whole, np.flatnonzero(subjects == name)) for name in np.unique(subjects)}

    def ceiling(self, repetitions: ArrayLike, weights: ArrayLike | None = None) -> Score:
        """As `internal_consistency`: the split-half reliability of each neuroid, corrected by 2 r / (1 + r)."""
        return internal_consistency(repetitions, weights)


@register("pls")
class PartialLeastSquares(Predictivity):
    summary = "predictivity by partial least squares, 25 components"
    rotation_invariant = True


@register("ridge")
class Ridge(Predictivity):
    summary = "predictivity by ridge regression, penalty 1"
    rotation_invariant = True


@register("ridgecv")
class ChosenRidge(Predictivity):
    """alphas: the list of penalties, see `cornet.brain.metrics.mapping.ridge_cv`."""

    summary = "predictivity by ridge regression, penalty chosen by leave-one-out"
    rotation_invariant = True
    method = "ridgecv"
    alphas: ClassVar[str] = "standard"

    def options(self, subjects: NDArray[np.str_] | None) -> dict[str, Any]:
        per: dict[str, Any] = {} if subjects is None else {"alpha_per": "subject", "subjects": subjects}
        return {"alphas": self.alphas, **per}


@register("ridgecv_reduced")
class ReducedRidge(ChosenRidge):
    summary = "as ridgecv, with the 23 penalties of Gifford2022"
    alphas = "reduced"


@register("ridgecv_powers")
class PowersRidge(ChosenRidge):
    summary = "as ridgecv, with 21 powers of ten, as in Zerbe2026"
    alphas = "powers"


@register("linear")
class LeastSquares(Predictivity):
    summary = "predictivity by least squares"
    rotation_invariant = True


@register("neuron_to_neuron")
class SingleUnits(Predictivity):
    summary = "predictivity by the single feature that fits best"

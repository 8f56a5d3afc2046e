"""Fitting a linear mapping on many training sets of the same stimuli, reading the features once."""

from collections.abc import Callable
from functools import lru_cache, partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from cornet.brain.metrics import least_squares
from cornet.brain.metrics.correlation import pearson
from cornet.brain.metrics.gram import LostDigits, centred_features, gram_factor, gram_matrix
from cornet.brain.metrics.pls import FeatureSpace, SampleSpace, pls_coefficients
from cornet.brain.metrics.splits import Split
from cornet.brain.metrics.training_sets import TrainingSets
from cornet.brain.threads import each_in_a_thread

__all__ = ["Mapping"]


class Mapping:
    """Features, and one way to map them to responses.

    Keeps the centred features if they are fewer than the stimuli, else their Gram matrix, whose blocks are the training
    and test sets. After `LostDigits` it uses the features, or a small matrix with the same inner products.
    """

    def __init__(
        self,
        features: Any,
        metric: str,
        components: int,
        alpha: float,
        device: torch.device,
        precision: str,
        memory: int,
    ):
        stimuli, self.width = features.shape
        self.metric, self.components, self.alpha, self.precision = metric, components, alpha, precision
        self.wide = self.width > stimuli
        self.data = (
            gram_matrix(features, device, precision, memory)
            if self.wide
            else centred_features(features, device, memory)
        )
        self.factor: Callable[[], Tensor] = partial(gram_factor, features, device, memory)
        self.by_products = metric != "linear" or self.wide
        self.fewest = components  # PLS components that the smallest training set allowed
        # PLS components of each fit: fewer where features or responses had no more to give.
        self.used: list[int] = []

    def correlate(
        self,
        responses: NDArray[np.float64],
        present: NDArray[np.bool_],
        columns: NDArray[np.int64],
        pairs: list[Split],
        values: NDArray[np.float64],
    ) -> None:
        """Fill in r of these neuroids (`columns`), all of which have exactly the stimuli `present`, for every split."""
        answers = torch.from_numpy(np.where(present[:, None], responses[:, columns], 0.0)).to(
            self.data.device
        )
        sides = [(train[present[train]], test[present[test]]) for train, test in pairs]
        enough = [number for number, (fit, check) in enumerate(sides) if min(len(fit), len(check)) >= 2]
        self.fewest = min([self.fewest, self.width, *(len(sides[number][0]) for number in enough)])

        def fill(number: int, sets: TrainingSets | None) -> None:
            rows, others = (torch.from_numpy(side).to(self.data.device) for side in sides[number])
            known = answers[rows]
            varies = (known != known[0]).any(dim=0)
            if varies.any():
                predicted = self.predict(rows, others, known[:, varies], varies, sets)
                result = torch.full_like(known[0], torch.nan)
                result[varies] = pearson(predicted, answers[others][:, varies])
                values[number, columns] = result.cpu().numpy()

        def fill_all() -> None:
            sets = None
            if self.by_products and not self.wide:
                sets = TrainingSets(self.data, answers, torch.from_numpy(present).to(self.data.device))
            # Four matrices as large as a training set's.
            each = 8 * 4 * self.data.shape[1] * max(self.data.shape)
            each_in_a_thread(partial(fill, sets=sets), enough, self.data.device, each)

        try:
            fill_all()
        except LostDigits:
            if self.wide:
                self.data = self.factor()
            self.wide = self.by_products = False
            self.used.clear()
            fill_all()

    def predict(
        self, rows: Tensor, others: Tensor, known: Tensor, varies: Tensor, sets: TrainingSets | None
    ) -> Tensor:
        """Predicted responses (test stimulus, neuroid), less the training mean. Raises LostDigits.

        rows, others: training and test stimuli; known: the training responses of the neuroids that vary (mask).
        """
        Y = known - known.mean(dim=0)
        components = min(self.components, self.width, len(rows))
        if self.wide:
            K = self.data[rows][:, rows]
            means = K.mean(dim=0)
            across = self.data[others][:, rows]
            across = across - across.mean(dim=1, keepdim=True) - means + means.mean()
            K -= means
            K -= means[:, None] - means.mean()
            if self.metric == "pls":
                return across @ self._pls(SampleSpace(K, Y, self.precision), components)
            if self.metric == "ridge":
                return across @ least_squares.ridge(K, Y, self.alpha)
            return across @ least_squares.least_squares_samples(K, Y)
        products = None
        if sets is None:
            center = self.data[rows].mean(dim=0)
        else:
            gram, cross, center = sets.products(rows, varies)
            products = gram, cross
        X = lru_cache(1)(lambda: self.data[rows] - center)
        if self.metric == "pls":
            B = self._pls(FeatureSpace(X, Y, products), components)
        elif products is not None:
            B = least_squares.ridge(*products, self.alpha)
        else:
            B = least_squares.from_features(X(), Y, self.alpha if self.metric == "ridge" else 0.0)
        return (self.data[others] - center) @ B

    def _pls(self, space: FeatureSpace | SampleSpace, components: int) -> Tensor:
        coefficients = pls_coefficients(space, components)
        self.used.append(len(space.Q))
        return coefficients

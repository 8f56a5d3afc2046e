"""Fitting a linear mapping on many training sets of the same stimuli, reading the features once."""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from cornet.brain import least_squares
from cornet.brain.correlation import pearson
from cornet.brain.gram import centred_features, gram_matrix
from cornet.brain.pls import FeatureSpace, SampleSpace, pls_coefficients
from cornet.brain.splits import Split
from cornet.brain.training_sets import TrainingSets

__all__ = ["Mapping"]


class Mapping:
    """Features, and one way to map them to responses.

    With fewer features than stimuli it keeps them centred, and `TrainingSets` gives the products. With more it keeps
    their Gram matrix alone, in which every training and test set is a block: PLS, ridge and least squares do not
    change when features are rotated.
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
        self.metric, self.components, self.alpha = metric, components, alpha
        self.wide = self.width > stimuli
        self.data = (
            gram_matrix(features, device, precision, memory)
            if self.wide
            else centred_features(features, device, memory)
        )
        self.fewest = components  # PLS components that the smallest training set allowed

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
        mask = torch.from_numpy(present).to(self.data.device)
        by_products = not self.wide and self.metric != "linear"
        sets = TrainingSets(self.data, answers, mask) if by_products else None
        for number, (train, test) in enumerate(pairs):
            fit, check = train[present[train]], test[present[test]]
            if len(fit) < 2 or len(check) < 2:
                continue
            rows, others = (torch.from_numpy(side).to(self.data.device) for side in (fit, check))
            known = answers[rows]
            varies = (known != known[0]).any(dim=0)
            if not varies.any():
                continue
            self.fewest = min(self.fewest, self.width, len(fit))
            predicted = self.predict(rows, others, known[:, varies], varies, sets)
            result = torch.full_like(known[0], torch.nan)
            result[varies] = pearson(predicted, answers[others][:, varies])
            values[number, columns] = result.cpu().numpy()

    def predict(
        self, rows: Tensor, others: Tensor, known: Tensor, varies: Tensor, sets: TrainingSets | None
    ) -> Tensor:
        """Predicted responses (test stimulus, neuroid), less the training mean.

        rows, others: positions of the training and test stimuli; known: the training responses of the neuroids that
        vary (mask).
        """
        Y = known - known.mean(dim=0)
        if self.wide:
            K = self.data[rows][:, rows]
            means = K.mean(dim=0)
            across = self.data[others][:, rows]
            across = across - across.mean(dim=1, keepdim=True) - means + means.mean()
            K -= means
            K -= means[:, None] - means.mean()
            return across @ self.sample_coefficients(K, Y)
        if sets is None:
            X = self.data[rows]
            center = X.mean(dim=0)
            return (self.data[others] - center) @ least_squares.least_squares_features(X - center, Y)
        G, S, center = sets.products(rows, varies)
        if self.metric == "ridge":
            B = least_squares.ridge_features(G, S, self.alpha)
        else:
            space = FeatureSpace(lambda: self.data[rows] - center, Y, G, S)
            B = pls_coefficients(space, min(self.components, self.width, len(rows)))
        return (self.data[others] - center) @ B

    def sample_coefficients(self, K: Tensor, Y: Tensor) -> Tensor:
        if self.metric == "ridge":
            return least_squares.ridge_samples(K, Y, self.alpha)
        if self.metric == "linear":
            return least_squares.least_squares_samples(K, Y)
        return pls_coefficients(SampleSpace(K, Y), min(self.components, len(K)))

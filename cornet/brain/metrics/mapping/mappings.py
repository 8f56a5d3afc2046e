"""Fit linear mappings on many training sets of the same stimuli in one pass over the features."""

import math
from collections.abc import Callable, Sequence
from functools import lru_cache, partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from cornet.brain.metrics.correlation import missing_patterns, pearson
from cornet.brain.metrics.mapping.gram import (
    PrecisionLoss,
    centred_blocks,
    centred_features,
    gram_factor,
    gram_matrix,
)
from cornet.brain.metrics.mapping.pls import FeatureSpace, SampleSpace, pls_coefficients
from cornet.brain.metrics.splits import Split
from cornet.brain.threads import run_in_threads

__all__ = ["Mapping", "best_unit_correlations"]


class TrainingSets:
    """Products X'X and X'Y of all stimuli, from which those of a training set follow by subtraction.

    X: (stimulus, feature), centred over about these stimuli, so that subtraction loses no digits. Y: (stimulus,
    neuroid), arbitrary values where not present. present: (stimulus,), mask of stimuli with responses.
    """

    def __init__(self, X: Tensor, Y: Tensor, present: Tensor) -> None:
        self.X, self.present, self.number = X, present, int(present.sum())
        chosen = X if self.number == len(X) else X[present]
        self.Y = Y - Y[present].mean(dim=0)
        self.gram, self.cross, self.sum = chosen.T @ chosen, chosen.T @ self.Y[present], chosen.sum(dim=0)

    def products(self, rows: Tensor, columns: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return X'X and X'Y (for the masked neuroids), centred on the training set `rows`, and its mean X."""
        mask = self.present.clone()
        mask[rows] = False
        rest = self.X[mask]
        known = self.Y[rows][:, columns]
        mean = known.mean(dim=0)
        # Rows that occur twice, or a small training set.
        if len(rest) + len(rows) != self.number or len(rest) > len(rows):
            X = self.X[rows]
            center = X.mean(dim=0)
            X -= center
            return X.T @ X, X.T @ (known - mean), center
        center = (self.sum - rest.sum(dim=0)) / len(rows)
        G = self.gram - rest.T @ rest - len(rows) * torch.outer(center, center)
        left_out = self.Y[mask][:, columns] - mean
        S = self.cross[:, columns] - torch.outer(self.sum, mean) - rest.T @ left_out
        return G, S, center


MIN_RELATIVE = 1e-9
"""Minimum penalty or eigenvalue relative to the Gram matrix: below it, rounding errors exceed 1e-7."""


def ridge(gram: Tensor, right: Tensor, alpha: float) -> Tensor:
    """Solve (gram + alpha) B = right, with X'X and X'Y (feature, neuroid) or X X' and Y (training stimulus, neuroid).

    Raises PrecisionLoss if alpha is too small."""
    if not alpha > MIN_RELATIVE * float(gram.norm()):
        raise PrecisionLoss
    raised = gram.clone()
    raised.diagonal().add_(alpha)
    factor, failed = torch.linalg.cholesky_ex(raised)
    if failed:
        raise PrecisionLoss
    return torch.cholesky_solve(right, factor)


def least_squares_samples(kernel: Tensor, responses: Tensor) -> Tensor:
    """Return the minimum-norm least-squares solution from X X', (training stimulus, neuroid). Raises PrecisionLoss."""
    values, vectors = torch.linalg.eigh(kernel)
    keep = values > MIN_RELATIVE * values[-1]
    if int(keep.sum()) < len(keep) - 1:
        raise PrecisionLoss
    chosen = vectors[:, keep]
    return chosen @ ((chosen.T @ responses) / values[keep, None])


def svd_regression(features: Tensor, responses: Tensor, alpha: float = 0.0) -> Tensor:
    """Return the minimum-norm B, (feature, neuroid), of |X B - Y|^2 + alpha |B|^2. Drops singular values near 0."""
    U, s, Vh = torch.linalg.svd(features, full_matrices=False)
    keep = s > s[0] * max(features.shape) * torch.finfo(s.dtype).eps
    s = s[keep, None]
    return Vh[keep].T @ ((U[:, keep].T @ responses) * (s / (s.square() + alpha)))


def best_unit_correlations(
    features: Any,
    responses: NDArray[np.float64],
    pairs: list[Split],
    device: torch.device,
    memory: int,
    predictions: Sequence[NDArray[np.float64]],
) -> NDArray[np.float64]:
    """Select the feature with the largest signed r on each training set; return its r on the test set.

    features: (stimulus, feature), read once in blocks. responses: (stimulus, neuroid), NaN where missing. predictions:
    by split, (test stimulus, neuroid), filled with the chosen feature. Returns (split, neuroid).
    """
    answers = torch.from_numpy(np.nan_to_num(responses)).to(device)
    best = torch.full((len(pairs), responses.shape[1]), -math.inf, dtype=torch.float64, device=device)
    activity = torch.full((len(pairs), *responses.shape), math.nan, dtype=torch.float64, device=device)
    sets = [
        (number, torch.from_numpy(fit).to(device), torch.from_numpy(columns).to(device))
        for present, columns in missing_patterns(responses)
        for number, (train, _) in enumerate(pairs)
        if len(fit := train[present[train]]) >= 2
    ]
    for block in centred_blocks(features, device, memory=memory):
        for number, rows, columns in sets:
            r, which = best_of_block(block[rows], answers[rows][:, columns], block.abs().amax(dim=0))
            better = r > best[number, columns]
            best[number, columns[better]] = r[better]
            activity[number][:, columns[better]] = block[:, which[better]]
    values = np.full((len(pairs), responses.shape[1]), math.nan)
    for present, members in missing_patterns(responses):
        for number, (_, test) in enumerate(pairs):
            check = test[present[test]]
            chosen = activity[number][check][:, members]
            r = pearson(chosen, answers[check][:, members])
            predictions[number][np.ix_(present[test], members)] = chosen.cpu().numpy()
            values[number, members] = r.cpu().numpy()
    return values


def best_of_block(X: Tensor, Y: Tensor, scale: Tensor) -> tuple[Tensor, Tensor]:
    """Return each neuroid's largest r with a feature of the block, and its index; -inf for constant features."""
    X, Y = X - X.mean(dim=0), Y - Y.mean(dim=0)
    lengths = X.norm(dim=0)
    varies = lengths > 1e-14 * math.sqrt(len(X)) * scale
    r = (X.T @ Y) / lengths[:, None] / Y.norm(dim=0)
    best, which = torch.where(varies[:, None] & r.isfinite(), r, -math.inf).max(dim=0)
    return best, which


class Mapping:
    """Features and a method to map them to responses.

    Stores the centred features if there are fewer features than stimuli, else their Gram matrix, whose blocks are the
    training and test sets. After `PrecisionLoss`, uses the features or a small matrix with the same inner products.
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
        self.max_components = components  # upper limit of PLS components from the smallest training set
        # PLS components of each fit: fewer if features or responses are exhausted.
        self.used: list[int] = []

    def correlate(
        self,
        responses: NDArray[np.float64],
        present: NDArray[np.bool_],
        columns: NDArray[np.int64],
        pairs: list[Split],
        values: NDArray[np.float64],
        predictions: Sequence[NDArray[np.float64]],
    ) -> None:
        """Write r of the neuroids `columns` into `values` (split, neuroid). They share the stimuli `present`.

        predictions: by split, (test stimulus, neuroid), filled with the predicted responses minus the training mean.
        """
        answers = torch.from_numpy(np.where(present[:, None], responses[:, columns], 0.0)).to(
            self.data.device
        )
        sides = [(train[present[train]], test[present[test]]) for train, test in pairs]
        enough = [number for number, (fit, check) in enumerate(sides) if min(len(fit), len(check)) >= 2]
        self.max_components = min(
            [self.max_components, self.width, *(len(sides[number][0]) for number in enough)]
        )

        def fill(number: int, sets: TrainingSets | None) -> None:
            rows, others = (torch.from_numpy(side).to(self.data.device) for side in sides[number])
            known = answers[rows]
            varies = (known != known[0]).any(dim=0)
            if varies.any():
                predicted = self.predict(rows, others, known[:, varies], varies, sets)
                result = torch.full_like(known[0], torch.nan)
                result[varies] = pearson(predicted, answers[others][:, varies])
                values[number, columns] = result.cpu().numpy()
                rows_shown = np.flatnonzero(present[pairs[number][1]])
                shown = np.ix_(rows_shown, columns[varies.cpu().numpy()])
                predictions[number][shown] = predicted.cpu().numpy()

        def fill_all() -> None:
            sets = None
            if self.by_products and not self.wide:
                sets = TrainingSets(self.data, answers, torch.from_numpy(present).to(self.data.device))
            # Four matrices of the size of a training set's.
            bytes_per_split = 8 * 4 * self.data.shape[1] * max(self.data.shape)
            run_in_threads(partial(fill, sets=sets), enough, self.data.device, bytes_per_split)

        try:
            fill_all()
        except PrecisionLoss:
            if self.wide:
                self.data = self.factor()
            self.wide = self.by_products = False
            self.used.clear()
            fill_all()

    def predict(
        self, rows: Tensor, others: Tensor, known: Tensor, varies: Tensor, sets: TrainingSets | None
    ) -> Tensor:
        """Predict responses (test stimulus, neuroid) minus the training mean. Raises PrecisionLoss.

        rows, others: training and test stimuli. known: training responses of the neuroids that vary (mask).
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
                return across @ ridge(K, Y, self.alpha)
            return across @ least_squares_samples(K, Y)
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
            B = ridge(*products, self.alpha)
        else:
            B = svd_regression(X(), Y, self.alpha if self.metric == "ridge" else 0.0)
        return (self.data[others] - center) @ B

    def _pls(self, space: FeatureSpace | SampleSpace, components: int) -> Tensor:
        coefficients = pls_coefficients(space, components)
        self.used.append(len(space.Q))
        return coefficients

"""Ridge regression whose penalty is chosen by leave-one-out on the training stimuli, in closed form.

The registered `ridgecv_split` of brainscore_vision 2.4.2, which is scikit-learn's RidgeCV: float64, an intercept
without penalty, features neither scaled nor normalised. For training features X and responses Y, centred, K = X X' with
eigenvalues l and eigenvectors V on the complement of the constant vector: the error of left-out stimulus i is

    e_i = (V diag(1 / (l + a)) V' Y)_i / sum_k V_ik^2 / (l_k + a)

One factorisation serves all penalties, neuroids and subjects (`cornet.brain.metrics.mapping.spectrum`).
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from cornet.brain.metrics.correlation import missing_patterns, pearson
from cornet.brain.metrics.mapping.gram import centred_features, gram_matrix
from cornet.brain.metrics.mapping.spectrum import BLOCK, GroupErrors, Spectrum
from cornet.brain.metrics.splits import Split
from cornet.brain.threads import run_in_threads
from cornet.errors import CornetError

__all__ = ["PENALTIES", "Choice", "as_penalties", "choose_penalties"]

_HALVES = tuple(1 + k / 2 for k in range(18))

PENALTIES: dict[str, tuple[float, ...]] = {
    "standard": (
        *(0.01, 0.1, 0.5, 1.0, 10.0, 32.5, 55.0, 77.5),
        *(10.0**power * step for power in (2, 3, 4, 5) for step in _HALVES),
        *(1e6 * step for step in (*_HALVES, 10.0)),
    ),
    "reduced": (
        *(0.01, 0.1, 0.5, 1.0, 10.0, 50.0, 100.0, 500.0, 1000.0, 5000.0),
        *(power * step for power in (1e4, 1e5) for step in (1.0, 3.25, 5.5, 7.75)),
        *(1e6 * step for step in (1.0, 3.25, 5.5, 7.75, 10.0)),
    ),
    "powers": tuple(10.0**power for power in range(-10, 11)),
}
"""Lists of penalties by name: of Papale2025, Hebart2023_fmri and Li2026; of Gifford2022; of Zerbe2026."""

LONG = 30
"""Length of a list of penalties of which not all are computed."""

FACTOR = 3.0
NEAR = 1e-3


def as_penalties(alphas: str | ArrayLike | None) -> NDArray[np.float64]:
    """Check penalties: a name of `PENALTIES`, numbers above 0, or None for the standard list."""
    if alphas is None or isinstance(alphas, str):
        name = alphas or "standard"
        if name not in PENALTIES:
            raise CornetError(
                f"alphas={alphas!r} is unknown; give numbers, or choose one of {', '.join(PENALTIES)}."
            )
        return np.array(PENALTIES[name])
    try:
        values = np.atleast_1d(np.asarray(alphas, float))
    except (TypeError, ValueError):
        values = np.empty(0)
    if values.ndim != 1 or not len(values) or not (np.isfinite(values) & (values > 0)).all():
        raise CornetError(
            f"alphas={alphas!r} must be numbers above 0; without a penalty, choose metric='linear'."
        )
    return values


def smallest(
    errors_of: Callable[[NDArray[np.float64]], NDArray[np.float64]], alphas: NDArray[np.float64]
) -> NDArray[np.int64]:
    """Position of the penalty with the smallest error, (group,), as if all were computed.

    errors_of: errors (penalty, group) of some penalties. Of a long ascending list, those at distances of about a factor
    of 3 are computed first, then all around the minimum and around values within 1e-3 of it. With a second minimum in a
    group, all are computed.
    """
    every = np.arange(len(alphas))
    if len(alphas) < LONG or (np.diff(alphas) <= 0).any():
        return errors_of(alphas).argmin(axis=0)
    places = [0]
    while places[-1] < len(alphas) - 1:
        reached = int(np.searchsorted(alphas, alphas[places[-1]] * FACTOR * (1 + 1e-9), side="right")) - 1
        places.append(max(reached, places[-1] + 1))
    coarse = np.array(places)
    first = errors_of(alphas[coarse])
    found = np.full((len(alphas), first.shape[1]), math.inf)
    found[coarse] = first
    steps = np.sign(np.diff(first, axis=0))
    falls_again = (np.maximum.accumulate(steps, axis=0) > 0)[:-1] & (steps[1:] < 0)
    if falls_again.any():
        wanted = every
    else:
        near = np.flatnonzero((first <= first.min(axis=0) * (1 + NEAR)).any(axis=1))
        lows, highs = coarse[np.maximum(near - 1, 0)], coarse[np.minimum(near + 1, len(coarse) - 1)]
        spans = [np.arange(low, high + 1) for low, high in zip(lows, highs, strict=True)]
        wanted = np.unique(np.concatenate(spans))
    rest = np.setdiff1d(wanted, coarse)
    found[rest] = errors_of(alphas[rest])
    return found.argmin(axis=0)


@dataclass(frozen=True, eq=False)
class Choice:
    """values: (split, neuroid), r. alphas: (split, neuroid), the penalty chosen. at_edge: (split, neuroid), whether it
    is the smallest or largest of the list."""

    values: NDArray[np.float64]
    alphas: NDArray[np.float64]
    at_edge: NDArray[np.bool_]

    def notes(self) -> list[str]:
        """A note that counts the neuroids whose penalty is at an end of the list."""
        count = int(self.at_edge.any(axis=0).sum())
        if not count:
            return []
        return [
            f"the chosen penalty is the smallest or the largest of the list for {count} of {self.at_edge.shape[1]} "
            f"neuroids, in {int(self.at_edge.any(axis=1).sum())} of {len(self.at_edge)} splits; a longer list may fit "
            "better"
        ]


def choose_penalties(
    features: Any,
    responses: NDArray[np.float64],
    pairs: Sequence[Split],
    labels: ArrayLike | None,
    alphas: NDArray[np.float64],
    device: torch.device,
    memory: int,
    predictions: Sequence[NDArray[np.float64]],
) -> Choice:
    """Choose a penalty on each training set and correlate the predictions for its test set.

    features: (stimulus, feature), read once in blocks. responses: (stimulus, neuroid), NaN where missing: each neuroid
    is fitted on the stimuli for which it has responses. labels: (neuroid,), neuroids with equal labels share a penalty,
    the one with the smallest mean squared error over all their responses; None: all share one. predictions: by split,
    (test stimulus, neuroid), filled with the predictions minus the training mean.
    """
    width = features.shape[1]
    wide = width >= min(len(train) for train, _ in pairs)
    data = (
        gram_matrix(features, device, memory=memory // 2)
        if wide
        else centred_features(features, device, memory)
    )
    patterns = missing_patterns(responses)
    count = responses.shape[1]
    groups = np.zeros(count, int) if labels is None else np.unique(np.asarray(labels), return_inverse=True)[1]
    values = np.full((len(pairs), count), math.nan)
    chosen = np.full((len(pairs), count), math.nan)

    def on_device(array: NDArray[Any]) -> Tensor:
        return torch.from_numpy(array).to(device)

    def answers(rows: NDArray[np.int64], columns: NDArray[np.int64]) -> Tensor:
        return on_device(responses[np.ix_(rows, columns)])

    def centred(rows: NDArray[np.int64], columns: NDArray[np.int64]) -> Tensor:
        known = answers(rows, columns)
        return known - known.mean(dim=0)

    def fill(number: int) -> None:
        train, test = pairs[number]
        sets = [
            (train[present[train]], np.flatnonzero(present[test]), columns) for present, columns in patterns
        ]
        sets = [one for one in sets if len(one[0]) >= 3 and len(one[1]) >= 2]
        step = max(1, BLOCK // (8 * len(train)))
        # Each with its pattern, which needs a factorisation of its own.
        blocks = [
            (place, columns[start : start + step])
            for place, (_, _, columns) in enumerate(sets)
            for start in range(0, len(columns), step)
        ]

        @lru_cache(maxsize=2)
        def fitted(place: int) -> tuple[Spectrum, Tensor]:
            """Spectrum, and mean features (or nothing), of a pattern."""
            rows = on_device(sets[place][0])
            if wide:
                return Spectrum.of_gram(data[rows][:, rows]), data.new_empty(0)
            center = data[rows].mean(dim=0)
            return Spectrum.of_features(data[rows] - center), center

        @lru_cache(maxsize=2)
        def quadratic(place: int) -> GroupErrors | None:
            """For many neuroids; None if they are few."""
            own, spectrum = sets[place][2], fitted(place)[0]
            if not spectrum.complete or len(own) <= len(sets[place][0]):
                return None
            parts = (
                (group, centred(sets[place][0], columns[groups[columns] == group]))
                for group in range(groups.max() + 1)
                for number, columns in blocks
                if number == place and (groups[columns] == group).any()
            )
            return GroupErrors(spectrum, parts, groups.max() + 1)

        def errors_of(some: NDArray[np.float64]) -> NDArray[np.float64]:
            """Squared errors of left-out stimuli, summed over the stimuli and neuroids of a group: (penalty, group)."""
            errors = np.zeros((len(some), groups.max() + 1))
            for place in range(len(sets)):
                if (forms := quadratic(place)) is not None:
                    errors += forms.left_out_errors(some)
                    continue
                for number, columns in blocks:
                    if number == place:
                        Y = centred(sets[place][0], columns)
                        np.add.at(errors.T, groups[columns], fitted(place)[0].left_out_errors(Y, some).T)
            return errors

        best = alphas[smallest(errors_of, alphas)]
        for place, columns in blocks:
            fit, shown, _ = sets[place]
            spectrum, center = fitted(place)
            penalty = best[groups[columns]]
            weights = spectrum.coefficients(centred(fit, columns), on_device(penalty))
            rows, others = on_device(fit), on_device(test[shown])
            if wide:
                across = data[others][:, rows]
                predicted = (across - across.mean(dim=1, keepdim=True)) @ weights
                predicted -= (data[rows].mean(dim=0)[rows] @ weights)[None]
            else:
                predicted = (data[others] - center) @ weights
            varies = np.ptp(responses[np.ix_(fit, columns)], axis=0) > 0
            r = pearson(predicted, answers(test[shown], columns)).cpu().numpy()
            values[number, columns[varies]] = r[varies]
            chosen[number, columns] = penalty
            predictions[number][np.ix_(shown, columns[varies])] = predicted.cpu().numpy()[:, varies]

    size = max(len(train) for train, _ in pairs)
    need = 8 * 4 * size * (size if wide else width) + 3 * BLOCK
    run_in_threads(fill, range(len(pairs)), device, need)
    edge = (
        (chosen == alphas.min()) | (chosen == alphas.max())
        if len(alphas) > 1
        else np.zeros(chosen.shape, bool)
    )
    return Choice(values, chosen, edge)

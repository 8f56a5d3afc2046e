"""Transfer: how well a linear read-out of frozen features classifies images of other classes.

The read-out is a multinomial logistic regression with an L2 penalty on standardised features, as in
`cornet.brain.metrics.choices.readout`; the strength of the penalty is chosen on a part of the training images, as in
Kornblith, Shlens & Le 2019 (CVPR). Kubilius, Schrimpf et al. 2019 (NeurIPS) report transfer of CORnet-S to CIFAR-100.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from scipy.stats import binomtest, t
from sklearn.model_selection import StratifiedShuffleSplit

from cornet.brain.metrics.choices.readout import readout_path
from cornet.brain.score import Score
from cornet.errors import CornetError

__all__ = ["STRENGTHS", "FewShot", "few_shot", "transfer"]

STRENGTHS = tuple(10.0**exponent for exponent in range(-5, 1))
"""Candidates for C, the weight of the summed cross-entropy relative to half the squared weights."""

HELD_OUT = 0.2
"""Part of the training images on which C is chosen."""


@dataclass(frozen=True)
class FewShot:
    """Accuracy with k training images per class: mean over seeds with its 95 % interval (t distribution), and C."""

    k: int
    accuracy: float
    low: float
    high: float
    C: float
    seeds: int


def transfer(
    features: Any,
    labels: ArrayLike,
    train: ArrayLike,
    test: ArrayLike,
    *,
    strengths: Sequence[float] = STRENGTHS,
    seed: int = 0,
    device: torch.device | str = "cpu",
) -> Score:
    """Fit a read-out on the training images, and measure its top-1 accuracy on the test images.

    features: (image, feature). labels: (image,), the class of each image. train, test: rows of the images of each part.
    strengths: candidates for C; with one, none is chosen. seed: of the held-out part.

    raw: top-1 accuracy, 0 to 1. error: its binomial standard error. details: C, held_out (accuracy by C), low and high
    (95 % Wilson interval), correct (image,). Raises CornetError for a class without two training images.
    """
    names, train, test = np.asarray(labels), np.asarray(train), np.asarray(test)
    held_out: dict[float, float] = {}
    chosen = float(strengths[0])
    if len(strengths) > 1:
        fit, choose = held_out_rows(names[train], seed)
        predicted = predictions(features, names, train[fit], train[choose], strengths, device)
        held_out = {C: accuracy(found, names[train[choose]]) for C, found in predicted}
        chosen = best_strength(held_out)
    ((_, found),) = predictions(features, names, train, test, [chosen], device)
    correct = found == names[test]
    share, count = float(correct.mean()), len(test)
    interval = binomtest(int(correct.sum()), count).proportion_ci(method="wilson")
    notes = []
    if held_out and chosen in (min(strengths), max(strengths)):
        notes.append(f"the chosen C={chosen:g} is at the end of the range of candidates")
    return Score(
        raw=share,
        values=np.array([share]),
        error=math.sqrt(share * (1 - share) / count),
        n=count,
        notes=tuple(notes),
        details={
            "metric": "top-1",
            "C": chosen,
            "held_out": held_out,
            "low": float(interval.low),
            "high": float(interval.high),
            "correct": correct,
        },
    )


def few_shot(
    features: Any,
    labels: ArrayLike,
    train: ArrayLike,
    test: ArrayLike,
    ks: Sequence[int],
    *,
    seeds: int = 10,
    strengths: Sequence[float] = STRENGTHS,
    seed: int = 0,
    device: torch.device | str = "cpu",
) -> list[FewShot]:
    """Accuracy of read-outs that are fitted on k random training images of each class, for each k.

    For each k, C is chosen by the mean accuracy over seeds on the held-out part of the training images, from which no
    image is fitted. Arguments as in `transfer`. Raises CornetError for a k that a class does not have.
    """
    names, train, test = np.asarray(labels), np.asarray(train), np.asarray(test)
    fit, choose = held_out_rows(names[train], seed)
    pool, judged = train[fit], train[choose]
    counts = dict(zip(*np.unique(names[pool], return_counts=True), strict=True))
    rarest = min(counts, key=lambda name: counts[name])
    found = []
    for k in ks:
        if not 1 <= k <= counts[rarest]:
            raise CornetError(
                f"few-shot k={k} must be from 1 to {counts[rarest]}, the images of class {str(rarest)!r} that are not "
                "held out; choose a smaller k."
            )
        on_held_out = {C: np.zeros(seeds) for C in strengths}
        on_test = {C: np.zeros(seeds) for C in strengths}
        both = np.concatenate([judged, test])
        for number in range(seeds):
            rng = np.random.default_rng((seed, k, number))
            rows = np.concatenate(
                [rng.choice(pool[names[pool] == name], k, replace=False) for name in sorted(counts)]
            )
            for C, predicted in predictions(features, names, rows, both, strengths, device):
                on_held_out[C][number] = accuracy(predicted[: len(judged)], names[judged])
                on_test[C][number] = accuracy(predicted[len(judged) :], names[test])
        chosen = best_strength({C: float(values.mean()) for C, values in on_held_out.items()})
        values = on_test[chosen]
        mean = float(values.mean())
        half = (
            float(t.ppf(0.975, seeds - 1) * values.std(ddof=1) / math.sqrt(seeds)) if seeds > 1 else math.nan
        )
        found.append(FewShot(int(k), mean, mean - half, mean + half, chosen, seeds))
    return found


def predictions(
    features: Any,
    names: NDArray[Any],
    fit: NDArray[np.int64],
    test: NDArray[np.int64],
    strengths: Sequence[float],
    device: torch.device | str,
) -> Iterator[tuple[float, NDArray[Any]]]:
    """Yield C and the predicted class of each test image, for read-outs that are fitted on the rows `fit`."""
    choices = np.unique(names[fit])
    for C, found in readout_path(features[fit], names[fit], features[test], strengths, device):
        yield C, choices[found.argmax(axis=1)]


def held_out_rows(labels: NDArray[Any], seed: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Rows to fit and to choose C on, stratified by class. Raises CornetError for a class with a single image."""
    names, counts = np.unique(labels, return_counts=True)
    if counts.min() < 2:
        raise CornetError(
            f"class {str(names[counts.argmin()])!r} has {counts.min()} training image, but choosing the penalty needs "
            "two; add images, or leave the class out."
        )
    size = max(len(names), round(HELD_OUT * len(labels)))
    size = min(size, len(labels) - len(names))
    splitter = StratifiedShuffleSplit(1, test_size=size, random_state=seed)
    fit, choose = next(splitter.split(labels, labels))
    return np.sort(fit), np.sort(choose)


def best_strength(by_strength: dict[float, float]) -> float:
    """The C with the highest accuracy; of equal ones, the smallest."""
    best = max(by_strength.values())
    return min(C for C, value in by_strength.items() if value == best)


def accuracy(predicted: NDArray[Any], truth: NDArray[Any]) -> float:
    return float((predicted == truth).mean())

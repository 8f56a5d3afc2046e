"""Draw odours and label them by prototypes, as in Wang, Sun, Axel, Abbott, Yang 2021 (Neuron 109:3879).

An odour is N numbers from 0 to 1, one for each receptor type. All draws come from one generator in a fixed order
(prototypes, training, validation), so the same arguments give the odours of the public code, bit for bit. Its variants:

* relabelled: several prototypes per class, index mod classes, so that classes cannot be separated linearly.
* concentration: labels do not depend on the length of the odour, which the network sees.
* spread: odours of different length, times 1 - s + 2 s Beta(1 - s, 1 - s).
* correlation: uniform receptors with a rank correlation, from a Gaussian copula.
* far: odours that are far from all prototypes are class 0.
* valence: a second label, 0 neutral, 1 good, 2 bad. Good and bad odours activate one of ten receptors in addition.
"""

from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm

from cornet.stimuli.odours.nearest import distorted, nearest, unit_length

__all__ = ["INNATE", "OdourRule", "OdourSet", "Split", "draw_odours"]

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

INNATE = 5
"""Good, and bad, prototypes with a receptor of their own."""
ROWS = 16_384
"""Odours that are drawn at a time."""


@dataclass(frozen=True)
class OdourRule:
    """How odours are drawn and labelled; see the docstring of this module.

    receptors, prototypes, classes: numbers. far: share of odours that are labelled by a prototype; 1: all. valence:
    None, "innate" (odours with a receptor of their own), or "learned": classes below 10 are good, below 20 bad.
    mixing: receptor types in each receptor neuron, after labelling. distort: labels from odours after five random
    layers. shuffle: labels of other odours, as a control.
    """

    receptors: int = 50
    prototypes: int = 200
    classes: int = 100
    concentration: bool = False
    spread: float = 0.0
    correlation: float = 0.0
    far: float = 1.0
    valence: str | None = None
    mixing: int = 1
    distort: bool = False
    shuffle: bool = False


@dataclass(frozen=True, eq=False)
class Split:
    """odours: (odour, receptor) float32. labels: (odour,). valence: (odour,), or None."""

    odours: NDArray[np.float32]
    labels: Integers
    valence: Integers | None = None


@dataclass(frozen=True, eq=False)
class OdourSet:
    """prototypes: (prototype, receptor) as they are compared, float64. train, val: the splits."""

    prototypes: Floats
    train: Split
    val: Split
    rule: OdourRule = field(default_factory=OdourRule)


def draw_odours(rule: OdourRule, train: int, val: int, seed: int = 0) -> OdourSet:
    """Draw prototypes, training odours and validation odours, and label them.

    Validation odours depend on the number of training odours, because they are drawn after them.
    """
    rng = np.random.RandomState(seed)
    drawn: list[tuple[NDArray[np.float32], Integers | None]]
    if rule.valence == "innate":
        neutral = rng.uniform(0, 1, (rule.prototypes - 2 * INNATE, rule.receptors))
        drawn = [with_innate(rng, rule, count) for count in (train, val)]
        prototypes = np.concatenate([neutral, np.eye(rule.receptors)[: 2 * INNATE]])
    else:
        counts = (rule.prototypes - (rule.far < 1), train, val)
        plain = [patterns(rng, rule, count, wide=k == 0) for k, count in enumerate(counts)]
        if rule.spread:
            plain = [one * lengths(rng, rule.spread, len(one)) for one in plain]
        prototypes = plain[0].astype(np.float64)
        drawn = [(one.astype(np.float32), None) for one in plain[1:]]
    if rule.concentration:
        prototypes = unit_length(prototypes)
    splits = [Split(odours, label(odours, prototypes, rule, seed), valence) for odours, valence in drawn]
    splits = [finished(split, rule, seed) for split in splits]
    return OdourSet(prototypes, splits[0], splits[1], rule)


def patterns(rng: np.random.RandomState, rule: OdourRule, count: int, wide: bool) -> NDArray[np.floating]:
    """Draw (count, receptor) uniform numbers. wide: in float64; otherwise float32 unless a spread is applied later."""
    units = rule.receptors
    if rule.correlation:
        covariance = np.full((units, units), 2 * np.sin(np.pi * rule.correlation / 6))
        np.fill_diagonal(covariance, 1)
        found: Floats = norm.cdf(rng.multivariate_normal(np.zeros(units), covariance, count))
        return found
    if wide or rule.spread:
        return rng.uniform(0, 1, (count, units))
    odours = np.empty((count, units), np.float32)  # half of the memory of float64
    for start in range(0, count, ROWS):
        block = odours[start : start + ROWS]
        block[:] = rng.uniform(0, 1, block.shape)
    return odours


def lengths(rng: np.random.RandomState, spread: float, count: int) -> Floats:
    """Factors (count, 1) with mean 1, from 1 - spread to 1 + spread."""
    return 1 - spread + 2 * spread * rng.beta(1 - spread, 1 - spread, (count, 1))


def with_innate(
    rng: np.random.RandomState, rule: OdourRule, count: int
) -> tuple[NDArray[np.float32], Integers]:
    """Draw odours of which a part activates one of ten receptors by 1 in addition; and their valence."""
    each = int(count * (INNATE / rule.prototypes) * (rule.prototypes // rule.receptors))
    odours = [rng.uniform(0, 1, (count - 2 * each, rule.receptors))]
    for first in (0, INNATE):  # good, bad
        receptor = first + rng.randint(0, INNATE, each)
        noise = rng.uniform(0, 1, (each, rule.receptors))
        noise[np.arange(each), receptor] += 1
        odours.append(noise)
    valence = np.repeat([0, 1, 2], [len(part) for part in odours])
    order = rng.permutation(count)
    return np.concatenate(odours).astype(np.float32)[order], valence[order]


def label(odours: NDArray[np.float32], prototypes: Floats, rule: OdourRule, seed: int) -> Integers:
    """The class of each odour: its nearest prototype, modulo the number of classes."""
    compared: NDArray[np.floating] = odours
    if rule.distort:
        both = distorted(np.concatenate([prototypes, odours]), seed)
        prototypes, compared = both[: len(prototypes)], both[len(prototypes) :]
    if rule.concentration:
        compared = unit_length(compared)
    index, distance = nearest(compared, prototypes)
    if rule.far < 1:
        index = np.where(distance > np.percentile(distance, 100 * rule.far), 0, index + 1)
    return index % rule.classes


def finished(split: Split, rule: OdourRule, seed: int) -> Split:
    """Add the learned valence, shuffle the labels, and mix receptors, where the rule says so."""
    if rule.valence == "learned":
        split = replace(split, valence=np.select([split.labels < 10, split.labels < 20], [1, 2], 0))
    if rule.shuffle:
        split = replace(split, labels=np.random.RandomState(seed).permutation(split.labels))
    if rule.mixing > 1:
        place = np.arange(rule.receptors)
        share = ((place[None] - place[:, None]) % rule.receptors < rule.mixing) / rule.mixing
        split = replace(split, odours=(split.odours @ share.astype(np.float32)).astype(np.float32))
    return split

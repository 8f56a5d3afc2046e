"""Odours as a data source, made in memory."""

import math
from collections.abc import Mapping, Sequence
from functools import cached_property
from numbers import Real
from typing import Any

import numpy as np
import torch

from cornet.errors import CornetError, check_choice
from cornet.memory import available_memory
from cornet.sizes import check_positive_int, is_seed
from cornet.stimuli.odours.draws import INNATE, OdourRule, OdourSet, Split, draw_odours
from cornet.stimuli.samples import InMemory, Key, Sample

__all__ = ["OdourSplit", "Odours"]

MAX_ODOURS = 1_000_000_000
VALENCES = ("innate", "learned")
VALENCE_NAMES = ("neutral", "good", "bad")


class OdourSplit(InMemory):
    """A split: odours (receptor,) in training, (view, receptor) in validation; the valence as a further target."""

    def __init__(self, split: Split, validation: bool) -> None:
        self.images = split.odours[:, None] if validation else split.odours
        self.labels, self.valence = split.labels, split.valence

    def __getitems__(self, keys: Sequence[Key]) -> list[Sample]:
        index = [key.index for key in keys]
        odours, labels = torch.from_numpy(self.images[index]), self.labels[index].tolist()
        targets: list[Mapping[str, Any]] = [{}] * len(index)
        if self.valence is not None:
            targets = [{"valence": one} for one in self.valence[index].tolist()]
        rows = zip(odours, labels, index, targets, strict=True)
        return [Sample(odour, label, place, (), more) for odour, label, place, more in rows]


class Odours:
    """Odours of Wang et al. 2021: N uniform numbers, classes by the nearest of some prototypes.

    receptors: N. prototypes, classes: the class is the index of the nearest prototype, mod classes. train_odours,
    val_odours: numbers. concentration, spread, correlation, far, valence, mixing, distort, shuffle: variants of the
    task, see `cornet.stimuli.odours.draws.OdourRule`. seed: of prototypes and odours; 0 is that of the published data.

    Raises CornetError for numbers that do not fit together, and for odours that do not fit in the free memory.
    """

    name, views, in_memory = "odours", ("odour",), True
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()

    def __init__(
        self,
        receptors: int = 50,
        prototypes: int = 200,
        classes: int = 100,
        train_odours: int = 1_000_000,
        val_odours: int = 8192,
        concentration: bool = False,
        spread: float = 0.0,
        correlation: float = 0.0,
        far: float = 1.0,
        valence: str | None = None,
        mixing: int = 1,
        distort: bool = False,
        shuffle: bool = False,
        seed: int = 0,
    ) -> None:
        sizes = {"receptors": receptors, "prototypes": prototypes, "classes": classes, "mixing": mixing}
        for word, value in sizes.items():
            check_positive_int(f"data.{word}", value)
        for word, value in (("train_odours", train_odours), ("val_odours", val_odours)):
            check_positive_int(f"data.{word}", value, MAX_ODOURS)
        numbers = receptors, prototypes, classes, concentration, spread, correlation, far
        self.rule = OdourRule(*numbers, valence, mixing, distort, shuffle)
        check_rule(self.rule)
        if not is_seed(seed):
            raise CornetError(f"data.seed={seed!r} must be a whole number from 0 to 4,294,967,295.")
        check_memory(self.rule, train_odours + val_odours)
        self.counts, self.seed = (train_odours, val_odours), seed
        self.classes = [f"odour {k}" for k in range(classes)]
        self.shape = (receptors,)

    @cached_property
    def odours(self) -> OdourSet:
        """Prototypes and both splits."""
        return draw_odours(self.rule, *self.counts, self.seed)

    def train(self) -> OdourSplit:
        return OdourSplit(self.odours.train, False)

    def val(self) -> OdourSplit:
        return OdourSplit(self.odours.val, True)

    @property
    def target_classes(self) -> dict[str, list[str]]:
        """Names of the classes of further targets, by target."""
        return {} if self.rule.valence is None else {"valence": list(VALENCE_NAMES)}

    def largest_class(self) -> float:
        """Share of the most frequent class among the validation odours: what guessing it gives."""
        return float(np.bincount(self.odours.val.labels).max() / len(self.odours.val.labels))


def check_rule(rule: OdourRule) -> None:
    """Raise CornetError for a rule that cannot give odours."""
    if rule.prototypes % rule.classes:
        fits = max(1, round(rule.prototypes / rule.classes)) * rule.classes
        raise CornetError(
            f"data.prototypes={rule.prototypes} must be a multiple of data.classes={rule.classes}, so that all classes "
            f"have as many prototypes; set it to {fits}."
        )
    for word, low, high, closed in (
        ("spread", 0.0, 1.0, False),
        ("correlation", 0.0, 1.0, False),
        ("far", 0.0, 1.0, True),
    ):
        value: Any = getattr(rule, word)
        number = isinstance(value, Real) and not isinstance(value, bool) and math.isfinite(value)
        fits_in = number and (low < value <= high if closed else low <= value < high)
        if not fits_in:
            limits = "above 0 and at most 1" if closed else "from 0 to below 1"
            raise CornetError(f"data.{word}={value!r} must be a number {limits}.")
    if rule.mixing > rule.receptors:
        raise CornetError(f"data.mixing={rule.mixing} must be at most data.receptors={rule.receptors}.")
    if rule.far < 1 and rule.prototypes < 2:
        raise CornetError(f"data.far={rule.far} needs at least 2 prototypes; set data.prototypes.")
    if rule.valence is None:
        return
    check_choice("data.valence", rule.valence, VALENCES)
    if rule.valence == "innate":
        least = max(2 * INNATE + 1, rule.receptors)
        if rule.receptors < 2 * INNATE or rule.prototypes < least:
            raise CornetError(
                f"data.valence=innate needs {2 * INNATE} receptors or more, and as many prototypes as receptors or "
                f"more, but data.receptors={rule.receptors} and data.prototypes={rule.prototypes}; set larger ones."
            )
        if rule.spread or rule.correlation or rule.far < 1:
            raise CornetError(
                "data.valence=innate cannot be combined with data.spread, data.correlation or data.far; leave them out."
            )


def check_memory(rule: OdourRule, odours: int) -> None:
    """Raise CornetError for odours that do not fit in the free memory while they are drawn."""
    numbers = 4 if rule.correlation or rule.valence or rule.distort else 3 if rule.spread else 1.5
    needed, free = 8 * numbers * odours * rule.receptors, available_memory()
    if needed > free:
        raise CornetError(
            f"{odours:,} odours of {rule.receptors} receptors take {needed / 2**30:,.1f} GiB while they are drawn, but "
            f"only {free / 2**30:,.1f} GiB of memory is free; set a smaller data.train_odours."
        )

"""Rank the units of a place by how much a task needs them.

Source: the greedy ranking in groups of Dobs, Martinez, Kell, Kanwisher 2022: the units whose loss alone raises the
cross-entropy most are silenced, and all others are measured again beside them.
"""

import numpy as np
from numpy.typing import NDArray

from cornet.errors import CornetError
from cornet.lesions.losses import LesionedImages

__all__ = ["GROUP", "SHARE", "random_units", "rank_units", "units_at"]

SHARE, GROUP = 0.2, 0.016
"""Published: a fifth of the units is ranked, 1.6 % of them at a time."""

Units = NDArray[np.int64]


def units_at(share: float, units: int) -> int:
    """The number of units in a share of them, rounded; at least one of a share above 0."""
    return 0 if share <= 0 else max(1, round(share * units))


def rank_units(images: LesionedImages, share: float = SHARE, group: float | None = GROUP) -> Units:
    """Units in the order in which a task needs them, the most needed first, (unit,).

    images: training images of the task. share: of the units, that are ranked. group: share of the units that is
    chosen at a time, at least one unit; then all others are measured again. None: all are measured once, each alone.
    Units with equal losses are in the order of their number. The same images are used each time.
    Raises CornetError for shares out of range.
    """
    check_share("share", share)
    units = images.place.units
    wanted = units_at(share, units)
    if group is not None:
        check_share("group", group)
    at_a_time = wanted if group is None else max(1, int(units * group))
    chosen: list[int] = []
    while len(chosen) < wanted:
        others = [unit for unit in range(units) if unit not in set(chosen)]
        losses = images.mean_losses(images.masks([[*chosen, unit] for unit in others])).numpy()
        order = np.argsort(-losses, kind="stable")[: min(at_a_time, wanted - len(chosen))]
        chosen += [others[k] for k in order]
    return np.array(chosen, np.int64)


def random_units(units: int, share: float = SHARE, seed: int = 0) -> Units:
    """A share of the units in a random order, which depends only on their number and the seed."""
    order = np.random.default_rng([seed, units]).permutation(units)
    return order[: units_at(share, units)].astype(np.int64)


def check_share(word: str, value: float) -> None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value <= 1:
        raise CornetError(f"{word}={value!r} must be a share of the units above 0, up to 1, such as 0.2.")

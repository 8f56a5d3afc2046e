"""A row of the table of generalisation: a score, its interval, and the drop from a reference."""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cornet.brain.scales import to_scale
from cornet.brain.score import Score

__all__ = ["KINDS", "ORDINARY", "Measured", "Row", "over_people", "row"]

DRAWS = 1000

ORDINARY = "ordinary"

KINDS = {
    ORDINARY: "the benchmark's own splits and site",
    "new images": "fitted without whole groups of images, and tested on them",
    "new neuroids": "the site is chosen on half of the neuroids, and tested on the other half",
    "new session, site": "the site is chosen on one session, and tested on another",
    "new session, mapping": "fitted on one session, carried to the other by a map between the recordings",
    "session predicts session": "the responses of one session in place of the model",
    "new kind": "fitted on one kind of images, and tested on another",
    "new observers": "other people than those whose answers were fitted",
    "new subjects": "the layer is chosen on the other subjects' dissimilarities",
}
"""The kinds of generalisation, in the order of the table."""


@dataclass(frozen=True, eq=False)
class Measured:
    """A score, and draws of its value (draw,). unit: what was drawn, such as "neuroids and stimuli"; "" for nothing."""

    score: Score
    draws: NDArray[np.float64] = field(repr=False)
    unit: str = ""
    neuroids: int = 0

    @property
    def interval(self) -> tuple[float, float]:
        """95 % interval of the value; NaN without draws."""
        return quantiles(self.draws)


@dataclass(frozen=True)
class Row:
    """A row of the table.

    kind: one of `KINDS`. fitted, tested: on what. against: the reference, with its value in `reference`. stimuli:
    number tested. raw, ceiling, value, scale: as in `Score`; the ceiling is that of the data tested. low, high: 95 %
    interval of value. drop: reference minus value, with its 95 % interval; both sides have the same draws of `unit`.
    from_ordinary: the ordinary value of the model on the benchmark minus this value. Numbers that are unknown are NaN.
    """

    model: str
    benchmark: str
    kind: str
    fitted: str
    tested: str
    site: str
    stimuli: int
    neuroids: int
    raw: float
    ceiling: float
    value: float
    scale: str
    low: float
    high: float
    against: str = ""
    reference: float = np.nan
    drop: float = np.nan
    drop_low: float = np.nan
    drop_high: float = np.nan
    from_ordinary: float = np.nan
    unit: str = ""
    notes: str = ""

    def as_dict(self) -> dict[str, Any]:
        return dataclasses.asdict(self)


def row(
    model: str,
    benchmark: str,
    kind: str,
    measured: Measured,
    *,
    fitted: str,
    tested: str,
    site: str = "",
    against: str = "",
    reference: Measured | None = None,
) -> Row:
    """Build a row. The drop needs draws of both sides in the same order; it has no interval if they are not paired."""
    score = measured.score
    low, high = measured.interval
    numbers: dict[str, float] = {}
    if reference is not None:
        numbers = {"reference": reference.score.value, "drop": reference.score.value - score.value}
        if measured.unit and measured.unit == reference.unit:
            numbers["drop_low"], numbers["drop_high"] = quantiles(reference.draws - measured.draws)
    return Row(
        model,
        benchmark,
        kind,
        fitted,
        tested,
        site,
        score.n,
        measured.neuroids,
        score.raw,
        score.ceiling,
        score.value,
        score.scale,
        low,
        high,
        against,
        unit=measured.unit,
        notes="; ".join(score.notes),
        **numbers,
    )


def quantiles(draws: NDArray[np.float64]) -> tuple[float, float]:
    """The 95 % interval; NaN without finite draws."""
    finite = draws[np.isfinite(draws)]
    if not len(finite):
        return np.nan, np.nan
    low, high = np.quantile(finite, [0.025, 0.975])
    return float(low), float(high)


def over_people(
    values: NDArray[np.float64], ceiling: float, scale: str, n: int, notes: Sequence[str]
) -> Measured:
    """The mean over people, (person,), with draws of people. The same people are drawn for the same number of them."""
    finite = np.where(np.isfinite(values), values, np.nan)
    chosen = np.random.default_rng(0).integers(len(values), size=(DRAWS, len(values)))
    drawn = finite[chosen]
    count = np.isfinite(drawn).sum(axis=1)
    with np.errstate(invalid="ignore"):
        means = np.nansum(drawn, axis=1) / count
    score = Score.of_splits(finite, n=n, notes=notes)
    score = score.with_ceiling(ceiling, scale)
    draws = np.array([to_scale(float(value), ceiling, scale) for value in means])
    return Measured(score, draws, "people")

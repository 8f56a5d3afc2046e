"""What a comparison gives: a value that keeps the raw numbers it was made of."""

import dataclasses
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cornet.brain.scales import check_scale, shown, slope
from cornet.errors import CornetError

__all__ = ["Score"]


@dataclass(frozen=True, eq=False, kw_only=True)
class Score:
    """A comparison's outcome.

    raw: the uncorrected value, a correlation or kappa; NaN where it is undefined (`notes` then say why).
    values: float64, per split and neuroid (split, neuroid), or per split (split,) where there are no neuroids;
        the raw value is their median over neuroids (NaN skipped), then mean over splits.
    error: of the raw value: the standard deviation (ddof 0) of the splits' values, over sqrt(splits) unless the
        benchmark says otherwise.
    ceiling: what a perfect model could reach, on the raw value's scale; NaN: not known.
    scale: the scale of `value`, a name in `cornet.brain.scales.SCALES`.
    value: the value on that scale.
    n: stimuli that the score rests on.
    notes: sentences that a reader of the number must know (what was left out, how many, why).
    details: further results of the comparison by name (arrays or plain values).
    """

    raw: float
    values: NDArray[np.float64] = field(default_factory=lambda: np.empty(0), repr=False)
    error: float = math.nan
    ceiling: float = math.nan
    scale: str = "raw"
    value: float = math.nan
    n: int = 0
    notes: tuple[str, ...] = ()
    details: Mapping[str, Any] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        check_scale(self.scale)
        if self.scale == "raw":
            object.__setattr__(self, "value", float(self.raw))

    @classmethod
    def of_splits(cls, values: ArrayLike, *, notes: Sequence[str] = (), **fields: Any) -> "Score":
        """A raw score from values per split and neuroid, or per split.

        Over neuroids the median is taken, over splits the mean; NaN are skipped, and are what comes out where
        nothing else is there. error: standard deviation (ddof 0) over the splits / sqrt(splits).
        """
        array = np.asarray(values, float)
        centers = medians(array) if array.ndim == 2 else array
        finite = centers[np.isfinite(centers)]
        raw = float(finite.mean()) if finite.size else math.nan
        error = float(finite.std() / math.sqrt(finite.size)) if finite.size else math.nan
        return cls(raw=raw, values=array, error=fields.pop("error", error), notes=tuple(notes), **fields)

    def noted(self, *notes: str) -> "Score":
        """The same score with these notes before its own; each sentence stands once."""
        return dataclasses.replace(self, notes=tuple(dict.fromkeys((*notes, *self.notes))))

    def with_ceiling(self, ceiling: "Score | float", scale: str) -> "Score":
        """The same score on another scale, given its ceiling (a Score, or a constant).

        Where both hold one value per repetition, as i2n does, the scale is applied per repetition and the mean
        taken, as the reference does. With a ceiling that is not above 0 the value is NaN, and a note says so.
        """
        limit = ceiling.raw if isinstance(ceiling, Score) else float(ceiling)
        notes = self.notes
        if isinstance(ceiling, Score):
            notes += tuple(note for note in ceiling.notes if note not in notes)
        if scale != "raw" and not limit > 0:
            notes += (
                f"the ceiling is {limit:.3g}, and only one above 0 can be divided by: no value on {scale}",
            )
        paired = (
            isinstance(ceiling, Score)
            and scale == "r/sqrt(c)"
            and self.values.ndim == 1
            and self.values.shape == ceiling.values.shape
            and self.values.size > 0
        )
        if paired and limit > 0:
            assert isinstance(ceiling, Score)
            each = [shown(r, c, scale) for r, c in zip(self.values, ceiling.values, strict=True)]
            value = float(np.mean(each))
        else:
            value = shown(self.raw, limit, scale)
        return dataclasses.replace(self, ceiling=limit, scale=scale, value=value, notes=notes)

    @property
    def value_error(self) -> float:
        """The error carried to the scale of `value`: error times the scale's slope at the raw value."""
        return self.error * slope(self.raw, self.ceiling, self.scale)

    def row(self) -> dict[str, Any]:
        """Its numbers as a row of a table: nothing is lost but the values per split and neuroid."""
        return {
            "value": self.value,
            "value_error": self.value_error,
            "scale": self.scale,
            "raw": self.raw,
            "error": self.error,
            "ceiling": self.ceiling,
            "n": self.n,
            "splits": len(self.values) if self.values.ndim else 0,
            "neuroids": self.values.shape[1] if self.values.ndim == 2 else 0,
            "notes": "; ".join(self.notes),
        }

    def __str__(self) -> str:
        if self.scale == "raw":
            text = f"{self.raw:.3f} +- {self.error:.3f}"
        else:
            text = f"{self.value:.3f} +- {self.value_error:.3f} ({self.scale}; raw {self.raw:.3f} +- {self.error:.3f}"
            text += f", ceiling {self.ceiling:.3f})"
        return text + (f", n = {self.n}" if self.n else "") + "".join(f"; {note}" for note in self.notes)


def medians(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Median over the last axis, NaN skipped; NaN where nothing else is there."""
    if values.ndim != 2:
        raise CornetError(f"values of shape {values.shape} must be (split, neuroid).")
    result = np.full(len(values), math.nan)
    some = np.isfinite(values).any(axis=1)
    if some.any():
        result[some] = np.nanmedian(values[some], axis=1)
    return result

"""The result of a comparison: a value, and the raw numbers that it was computed from."""

import dataclasses
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cornet.brain.scales import check_scale, slope, to_scale
from cornet.errors import CornetError

__all__ = ["Score"]


@dataclass(frozen=True, eq=False, kw_only=True)
class Score:
    """The result of a comparison.

    raw: the uncorrected value, a correlation or kappa; NaN if undefined, with the reason in `notes`.
    values: float64, (split, neuroid), or (split,) for a metric without neuroids; `raw` is the median over neuroids
        (NaN skipped), averaged over splits.
    error: error of `raw`: standard deviation (ddof 0) over splits / sqrt(splits), unless the benchmark defines another.
    ceiling: the score of a perfect model, on the scale of `raw`; NaN if unknown.
    scale: the scale of `value`, a key of `cornet.brain.scales.SCALES`.
    value: the score on that scale.
    n: number of stimuli compared.
    notes: sentences that readers of the value need: what was left out, how many, why.
    details: further results by name (arrays or plain values).
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
        """Build a raw score from values (split, neuroid) or (split,).

        Takes the median over neuroids and the mean over splits. NaN are skipped; the result is NaN if all values are.
        error: standard deviation (ddof 0) over splits / sqrt(splits).
        """
        array = np.asarray(values, float)
        centers = medians(array) if array.ndim == 2 else array
        finite = centers[np.isfinite(centers)]
        raw = float(finite.mean()) if finite.size else math.nan
        error = float(finite.std() / math.sqrt(finite.size)) if finite.size else math.nan
        return cls(raw=raw, values=array, error=fields.pop("error", error), notes=tuple(notes), **fields)

    def with_notes(self, *notes: str) -> "Score":
        """Copy with these notes before the existing ones, without duplicates."""
        return dataclasses.replace(self, notes=tuple(dict.fromkeys((*notes, *self.notes))))

    def with_ceiling(self, ceiling: "Score | float", scale: str) -> "Score":
        """Copy with a ceiling (a Score, or a constant), converted to another scale.

        If both scores have one value per repetition, as i2n does, each repetition is converted before averaging, as in
        the reference. If the ceiling is not above 0, the value is NaN and a note states it.
        """
        limit = ceiling.raw if isinstance(ceiling, Score) else float(ceiling)
        notes = self.notes
        if isinstance(ceiling, Score):
            notes += tuple(note for note in ceiling.notes if note not in notes)
        if scale != "raw" and not limit > 0:
            notes += (f"the ceiling is {limit:.3g}, but must be above 0: no value on {scale}",)
        paired = (
            isinstance(ceiling, Score)
            and scale == "r/sqrt(c)"
            and self.values.ndim == 1
            and self.values.shape == ceiling.values.shape
            and self.values.size > 0
        )
        if paired and limit > 0:
            assert isinstance(ceiling, Score)
            scaled = [to_scale(r, c, scale) for r, c in zip(self.values, ceiling.values, strict=True)]
            value = float(np.mean(scaled))
        else:
            value = to_scale(self.raw, limit, scale)
        return dataclasses.replace(self, ceiling=limit, scale=scale, value=value, notes=notes)

    @property
    def value_error(self) -> float:
        """Error of `value`: the error of `raw` times the slope of the scale at `raw`."""
        return self.error * slope(self.raw, self.ceiling, self.scale)

    @property
    def ood(self) -> "Score | None":
        """The score on the further test set, if there is one; the mean over several.

        From details["ood"], scores by name.
        """
        parts: list[Score] = list(self.details.get("ood", {}).values())
        if len(parts) < 2:
            return parts[0] if parts else None
        raw, value = (float(np.mean([getattr(one, name) for one in parts])) for name in ("raw", "value"))
        return Score(scale=parts[0].scale, raw=raw, value=value)

    def row(self) -> dict[str, Any]:
        """A table row with all fields except `values` and `details`. ood, ood_raw: of the further test sets."""
        return {
            "value": self.value,
            "value_error": self.value_error,
            "scale": self.scale,
            "raw": self.raw,
            "error": self.error,
            "ceiling": self.ceiling,
            "ood": self.ood.value if self.ood else math.nan,
            "ood_raw": self.ood.raw if self.ood else math.nan,
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
    """Median over the last axis of (split, neuroid), NaN skipped; NaN for rows that are all NaN."""
    if values.ndim != 2:
        raise CornetError(f"values of shape {values.shape} must be (split, neuroid).")
    result = np.full(len(values), math.nan)
    finite = np.isfinite(values).any(axis=1)
    if finite.any():
        result[finite] = np.nanmedian(values[finite], axis=1)
    return result

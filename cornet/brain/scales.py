"""Scales of published scores: formulas that combine the raw value and the ceiling.

Sources: brainscore-vision 2.4.2 and earlier versions; Schrimpf et al. (2018, 2020); Kubilius et al. (2019). The tables
in these papers are raw.
"""

import math

from cornet.errors import check_choice

__all__ = ["SCALES", "check_scale", "slope", "to_scale"]

SCALES = {
    "raw": "the raw value (the tables of the 2018 and 2019 papers)",
    "r/c": "r / ceiling (neural until July 2019; solution times and error consistency always)",
    "(r/c)^2": "(r / ceiling)^2 (neural until January 2026)",
    "r^2/c": "r^2 / ceiling (neural since January 2026)",
    "r/sqrt(c)": "r / sqrt(ceiling) (i2n)",
}
"""Formula of each scale, and the benchmarks and years that used it."""


def check_scale(scale: str) -> None:
    """Raise CornetError for an unknown scale."""
    check_choice("scale", scale, SCALES)


def to_scale(raw: float, ceiling: float, scale: str) -> float:
    """Convert a raw value to a scale. A squared value keeps its sign, which the reference drops.

    Returns NaN if the raw value is NaN, or if the scale needs a ceiling and it is not above 0. Raises CornetError for
    an unknown scale.
    """
    check_scale(scale)
    if scale == "raw":
        return raw
    if not ceiling > 0:
        return math.nan
    if scale == "r/c":
        return raw / ceiling
    if scale == "r/sqrt(c)":
        return raw / math.sqrt(ceiling)
    if scale == "(r/c)^2":
        return math.copysign((raw / ceiling) ** 2, raw)
    return math.copysign(raw**2, raw) / ceiling


def slope(raw: float, ceiling: float, scale: str) -> float:
    """Derivative of `to_scale` with respect to the raw value, to propagate its error."""
    check_scale(scale)
    if scale == "raw":
        return 1.0
    if not ceiling > 0:
        return math.nan
    if scale == "r/c":
        return 1 / ceiling
    if scale == "r/sqrt(c)":
        return 1 / math.sqrt(ceiling)
    return 2 * abs(raw) / (ceiling**2 if scale == "(r/c)^2" else ceiling)

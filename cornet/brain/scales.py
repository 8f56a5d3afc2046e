"""The scales on which published scores are shown: what became of the raw value and the ceiling, and when.

Sources: brainscore-vision 2.4.2 and its predecessors; Schrimpf et al. (2018, 2020), Kubilius et al. (2019), whose
tables are raw.
"""

import math

from cornet.errors import CornetError

__all__ = ["SCALES", "shown", "slope"]

SCALES = {
    "raw": "the raw value (the tables of the 2018 and 2019 papers)",
    "r/c": "r / ceiling (neural until July 2019; solution times and error consistency always)",
    "(r/c)^2": "(r / ceiling)^2 (neural until January 2026)",
    "r^2/c": "r^2 / ceiling (neural since January 2026)",
    "r/sqrt(c)": "r / sqrt(ceiling) (i2n)",
}
"""Every scale's name, with its formula and the benchmarks and years that used it."""


def check_scale(scale: str) -> None:
    """Refuse a scale that nobody publishes on."""
    if scale not in SCALES:
        raise CornetError(f"scale={scale!r} is unknown; choose one of {', '.join(SCALES)}.")


def shown(raw: float, ceiling: float, scale: str) -> float:
    """The raw value on a scale; a negative one stays negative when squared (the reference loses the sign).

    NaN where the raw value is, or the needed ceiling is not above 0. Raises CornetError for an unknown scale.
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
    """d shown / d raw, by which an error of the raw value is carried to the scale."""
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

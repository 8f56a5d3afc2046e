"""Average an assembly's responses over repetitions, or arrange them by repetition.

As in the reference (brainscore-vision, `average_repetition`), presentations are summed in file order and NaN are
skipped. Sums are float64; the reference sums float32 files in float32 and differs by that rounding (1e-7).
"""

from collections.abc import Sequence

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from cornet.brain.data.presentations import Groups, group_presentations, ranks
from cornet.brain.data.selection import select
from cornet.errors import CornetError

__all__ = ["average_repetitions", "by_repetition", "presentation_counts"]

BLOCK = 2**26
"""Bytes converted at a time."""


def average_repetitions(assembly: xr.DataArray, ignore: Sequence[str] = ()) -> xr.DataArray:
    """Return the mean over each stimulus's presentations, (stimulus, neuroid) float64; NaN are skipped.

    assembly: (presentation, neuroid) in either order, as from `select`.
    ignore: presentation coordinates, besides repetition, that may differ within a stimulus.

    For the order of stimuli see `cornet.brain.data.presentations`. The result has the neuroid coordinates and the
    presentation coordinates used for grouping. It is NaN where a neuroid has no response to a stimulus.
    Raises CornetError as `group_presentations` does.
    """
    values = _matrix(assembly)
    groups = group_presentations(assembly, ignore)
    mean = _mean_by(values, groups.code, len(groups))
    return xr.DataArray(
        mean,
        _averaged_coordinates(assembly, groups, ignore),
        ("stimulus", "neuroid"),
        assembly.name,
        assembly.attrs,
    )


def by_repetition(assembly: xr.DataArray, ignore: Sequence[str] = ()) -> xr.DataArray:
    """Arrange the presentations by repetition: (repetition, stimulus, neuroid), NaN where missing.

    Stimuli are in the order of `average_repetitions`, repetitions are sorted by value. float32 if the assembly is
    float32, else float64. Presentations of the same stimulus and repetition are averaged (NaN skipped, float64).
    The reference averages each half of the repetitions over presentations; means weighted with `presentation_counts`
    give the same halves.

    Raises CornetError if the coordinate repetition is missing or NaN, and as `group_presentations` does.
    """
    values = _matrix(assembly)
    groups = group_presentations(assembly, ignore)
    labels, cell = _cells(assembly, groups)
    cells = len(labels) * len(groups)
    if len(np.unique(cell)) == len(cell):
        result = np.full((cells, values.shape[1]), np.nan, values.dtype)
        result[cell] = values
    else:
        result = _mean_by(values, cell, cells)
    coordinates = _averaged_coordinates(assembly, groups, ignore)
    coordinates["repetition"] = xr.Variable("repetition", labels)
    return xr.DataArray(
        result.reshape(len(labels), len(groups), -1),
        coordinates,
        ("repetition", "stimulus", "neuroid"),
        assembly.name,
        assembly.attrs,
    )


def presentation_counts(assembly: xr.DataArray, ignore: Sequence[str] = ()) -> NDArray[np.uint16] | None:
    """Count the non-NaN presentations behind each value of `by_repetition`; None if all counts are one."""
    values = _matrix(assembly)
    groups = group_presentations(assembly, ignore)
    labels, cell = _cells(assembly, groups)
    if len(np.unique(cell)) == len(cell):
        return None
    counts = np.zeros((len(labels) * len(groups), values.shape[1]), np.uint16)
    for rows in ranks(cell):
        counts[cell[rows]] += ~np.isnan(values[rows])
    return counts.reshape(len(labels), len(groups), -1)


def _matrix(assembly: xr.DataArray) -> NDArray:
    """Return the values as (presentation, neuroid), float32 or float64."""
    if set(assembly.dims) != {"presentation", "neuroid"}:
        assembly = select(assembly)
    values = assembly.transpose("presentation", "neuroid").values
    return values if values.dtype in (np.float32, np.float64) else values.astype(np.float64)


def _mean_by(values: NDArray, code: NDArray[np.int64], count: int) -> NDArray[np.float64]:
    """Average the rows with the same code, (count, neuroid). NaN skipped; summed in file order like the reference."""
    sums = np.zeros((count, values.shape[1]))
    counts = np.zeros((count, values.shape[1]), np.int64)
    step = max(1, BLOCK // (8 * max(1, values.shape[1])))
    for start in range(0, len(values), step):
        block_code = code[start : start + step]
        block = values[start : start + step].astype(np.float64)
        valid = ~np.isnan(block)
        block[~valid] = 0
        for rows in ranks(block_code):
            sums[block_code[rows]] += block[rows]
            counts[block_code[rows]] += valid[rows]
    sums[counts == 0] = np.nan
    return sums / np.maximum(counts, 1)


def _cells(assembly: xr.DataArray, groups: Groups) -> tuple[NDArray, NDArray[np.int64]]:
    """Return the sorted repetition values, and each presentation's flat index into (repetition, stimulus)."""
    coordinate = assembly.coords.get("repetition")
    if coordinate is None or coordinate.dims != ("presentation",):
        raise CornetError(
            f"the assembly {assembly.name} has no coordinate repetition along presentation, which tells repetitions "
            "apart; add it."
        )
    if coordinate.dtype.kind == "f" and np.isnan(coordinate.values).any():
        raise CornetError(
            f"the coordinate repetition of the assembly {assembly.name} is NaN in "
            f"{int(np.isnan(coordinate.values).sum())} presentations; number every repetition."
        )
    labels, number = np.unique(coordinate.values, return_inverse=True)
    return labels, number * len(groups) + groups.code


def _averaged_coordinates(
    assembly: xr.DataArray, groups: Groups, ignore: Sequence[str]
) -> dict[str, xr.Variable]:
    result = {}
    for name, coordinate in assembly.coords.items():
        if coordinate.dims == ("presentation",) and name not in ("presentation", "repetition", *ignore):
            result[str(name)] = xr.Variable("stimulus", coordinate.values[groups.first])
        elif coordinate.dims == ("neuroid",):
            result[str(name)] = xr.Variable("neuroid", coordinate.values)
        elif coordinate.dims == ():
            result[str(name)] = coordinate.variable
    return result

"""A region's neuroids in a time bin, out of an assembly that need not fit into memory."""

import warnings
from collections.abc import Iterator

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from cornet.brain.data.netcdf import DIMENSIONS, damaged
from cornet.brain.subjects.step_times import check_bin
from cornet.errors import CornetError

__all__ = ["select"]

BLOCK = 2**25
"""Bytes that are read at once."""

MILLISECONDS = ("", "ms", "msec", "msecs", "millisecond", "milliseconds", "1")
"""What the attribute units of a time bin may say."""

LONGEST_NUMBER = 400
"""Bytes of a time that is written as text."""


def select(
    assembly: xr.DataArray, region: str | None = None, time_bin: tuple[float, float] | None = None
) -> xr.DataArray:
    """Responses of a region's neuroids in a time bin, (presentation, neuroid), in memory.

    region: a value of the coordinate region; None: all neuroids.
    time_bin: start and end in ms after onset: the bin that equals it, or the mean (NaN skipped) over the bins of equal
        width that fill it without a gap, as 1 ms bins do. None: the only bin.

    The attribute incomplete_means of the result counts the responses whose mean skips a bin that is NaN.

    float32 stays float32 unless bins are averaged; all else becomes float64. The values are read in blocks, so that
    a file with many bins need not fit into memory.

    Raises CornetError for a region or bin that is not there (naming those that are), bins that do not end after they
    start, values that are no numbers, and a file that cannot be read.
    """
    if "neuroid" not in assembly.dims or assembly.dtype.kind not in "biuf":
        raise CornetError(
            f"the assembly {assembly.name} holds {_kind(assembly)} along {', '.join(map(str, assembly.dims))}, but "
            "responses must be numbers along presentation and neuroid; choices and the like are for the comparisons "
            "of behaviour."
        )
    neuroids = _neuroids_of(assembly, region)
    bins, interval = _bins_of(assembly, time_bin)
    exact = len(bins) <= 1 and assembly.dtype in (np.float32, np.float64)
    shape = assembly.sizes["presentation"], len(neuroids)
    values = np.empty(shape, assembly.dtype if exact else np.float64)
    incomplete = 0
    for place, block in _blocks(assembly, neuroids, bins):
        values[place] = block if block.ndim == 2 else _mean(block)
        if block.ndim == 3:
            incomplete += int((np.isnan(block).any(axis=-1) & ~np.isnan(values[place])).sum())
    kept = assembly.isel(neuroid=neuroids)
    coordinates = {
        name: coordinate.variable
        for name, coordinate in kept.coords.items()
        if "time_bin" not in coordinate.dims
    }
    if interval is not None:
        coordinates |= {
            "time_bin_start": xr.Variable((), interval[0]),
            "time_bin_end": xr.Variable((), interval[1]),
        }
    attributes = assembly.attrs | {"incomplete_means": incomplete}
    return xr.DataArray(values, coordinates, ("presentation", "neuroid"), assembly.name, attributes)


def _kind(assembly: xr.DataArray) -> str:
    return "numbers" if assembly.dtype.kind in "biuf" else f"text ({assembly.dtype})"


def _neuroids_of(assembly: xr.DataArray, region: str | None) -> NDArray[np.int64]:
    if region is None:
        return np.arange(assembly.sizes["neuroid"])
    if "region" not in assembly.coords:
        raise CornetError(
            f"region={region!r} was asked for, but the assembly {assembly.name} names no regions; leave it out."
        )
    regions = np.broadcast_to(assembly.coords["region"].values.astype(str), assembly.sizes["neuroid"])
    found = np.flatnonzero(regions == region)
    if not len(found):
        raise CornetError(
            f"region={region!r} is not in the assembly {assembly.name}; it has "
            f"{', '.join(np.unique(regions)) or 'no neuroids'}."
        )
    return found


def _bins_of(
    assembly: xr.DataArray, time_bin: tuple[float, float] | None
) -> tuple[NDArray[np.int64], tuple[float, float] | None]:
    """The positions of the bins that make up a time bin, and the time bin; None where the file says nothing of it."""
    has_bins = "time_bin" in assembly.dims
    number = assembly.sizes["time_bin"] if has_bins else 1
    if not {"time_bin_start", "time_bin_end"} <= {*assembly.coords}:
        if time_bin is None and number == 1:
            return np.arange(number), None
        raise CornetError(
            f"the assembly {assembly.name} has {number} time bins, but not the coordinates time_bin_start and "
            "time_bin_end that say which; add them."
        )
    starts, ends = (_milliseconds(assembly, name) for name in ("time_bin_start", "time_bin_end"))
    if (
        number
        and float(np.max(ends - starts, initial=0)) < 1
        and (np.abs(ends) < 10).all()
        and (ends != starts).any()
    ):
        raise CornetError(
            f"the time bins of the assembly {assembly.name} ({_listed(starts, ends)}) are shorter than 1 ms, as if "
            "they were in seconds; write time_bin_start and time_bin_end in ms after onset."
        )
    if not (forward := ends > starts).all():
        raise CornetError(
            f"{int((~forward).sum())} of {number} time bins of the assembly {assembly.name} do not end after they "
            f"start ({_listed(starts[~forward], ends[~forward])} ms); correct time_bin_start and time_bin_end."
        )
    if time_bin is None:
        if number != 1:
            raise CornetError(
                f"the assembly {assembly.name} has {number} time bins, and one must be chosen with time_bin=(start, "
                f"end), --time-bin START-END or brain.time_bin; there are {_listed(starts, ends)} (ms)."
            )
        return np.arange(1), (float(starts[0]), float(ends[0]))
    start, end = check_bin(time_bin)
    same = np.flatnonzero((starts == start) & (ends == end))
    inside = np.flatnonzero((starts >= start) & (ends <= end))
    inside = inside[np.argsort(starts[inside], kind="stable")]
    if len(same) == 1:
        return same, (start, end)
    if not len(inside) or not _filled(starts[inside], ends[inside], start, end):
        raise CornetError(
            f"time_bin=({start:g}, {end:g}) is no bin of the assembly {assembly.name}, nor do bins of equal width "
            f"fill it; there are {_listed(starts, ends)} (ms after onset)."
        )
    return inside, (start, end)


def _milliseconds(assembly: xr.DataArray, name: str) -> NDArray[np.float64]:
    values = np.atleast_1d(assembly.coords[name].values)
    units = str(assembly.coords[name].attrs.get("units", "ms"))
    if units.strip().lower() not in MILLISECONDS:
        raise CornetError(
            f"the assembly {assembly.name} has {name} in {units[:40]!r}; write the times in ms after onset."
        )
    try:
        if values.dtype.kind in "SU" and values.dtype.itemsize > LONGEST_NUMBER:
            raise ValueError  # of a long text numpy would take a hundred times its room
        return values.astype(float)
    except (TypeError, ValueError):
        raise CornetError(
            f"the assembly {assembly.name} has in {name} no numbers but {str(values.flat[0])!r:.40}; write the "
            "times as ms after onset."
        ) from None


def _filled(starts: NDArray, ends: NDArray, start: float, end: float) -> bool:
    widths = ends - starts
    return bool(
        np.isclose(starts[0], start)
        and np.isclose(ends[-1], end)
        and np.allclose(starts[1:], ends[:-1])
        and np.allclose(widths, widths[0])
    )


def _listed(starts: NDArray, ends: NDArray) -> str:
    """The bins by name, those in the middle left out where there are many."""
    names = [f"{start:g}-{end:g}" for start, end in zip(starts, ends, strict=True)]
    if len(names) > 8:
        names = [*names[:4], "...", *names[-3:]]
    return ", ".join(names)


def _blocks(
    assembly: xr.DataArray, neuroids: NDArray[np.int64], bins: NDArray[np.int64]
) -> Iterator[tuple[tuple[slice, NDArray[np.int64]], NDArray]]:
    """Where in (presentation, neuroid) a block stands, and its values, with the bins behind where they are several.

    Blocks span a range in the file's own order of dimensions: reading single neuroids or bins is slow.
    """
    order = [assembly.dims.index(name) for name in DIMENSIONS if name in assembly.dims]
    rows = "neuroid" if order[1] < order[0] else "presentation"
    timed = "time_bin" in assembly.dims
    low, high = (int(neuroids[0]), int(neuroids[-1]) + 1) if len(neuroids) else (0, 0)
    ranges = {"neuroid": (low, high), "presentation": (0, assembly.sizes["presentation"])}
    first, last = ranges[rows]
    if timed:
        assembly = assembly.isel(time_bin=slice(int(bins.min()), int(bins.max()) + 1))
    others = ranges["presentation" if rows == "neuroid" else "neuroid"]
    width = (others[1] - others[0]) * (assembly.sizes["time_bin"] if timed else 1) * assembly.dtype.itemsize
    step = max(1, BLOCK // max(1, width))
    for start in range(first, last, step):
        part = {**ranges, rows: (start, min(start + step, last))}
        taken = neuroids[(neuroids >= part["neuroid"][0]) & (neuroids < part["neuroid"][1])]
        try:
            values = assembly.isel({name: slice(*span) for name, span in part.items()}).values
        except (OSError, RuntimeError, ValueError) as error:
            raise CornetError(damaged(str(assembly.name), error)) from None
        values = values.transpose(order)
        if len(taken) < values.shape[1]:
            values = values[:, taken - part["neuroid"][0]]
        if timed:
            values = values[:, :, 0] if len(bins) == 1 else values[:, :, bins - bins.min()]
        yield (slice(*part["presentation"]), np.searchsorted(neuroids, taken)), values


def _mean(block: NDArray) -> NDArray[np.float64]:
    """Mean over the last axis, NaN skipped; NaN where there is nothing else."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Mean of empty slice", RuntimeWarning)
        return np.nanmean(block, axis=-1, dtype=np.float64)

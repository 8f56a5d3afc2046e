"""Select a region's neuroids in a time bin from an assembly that need not fit into memory."""

import warnings
from collections.abc import Iterator, Mapping

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from cornet.brain.data.files.netcdf import DIMENSIONS, damage_message
from cornet.brain.subjects.step_times import check_bin
from cornet.errors import CornetError

__all__ = ["select"]

BLOCK = 2**25
"""Bytes read at a time."""

MS_UNITS = ("", "ms", "msec", "msecs", "millisecond", "milliseconds", "1")
"""Accepted values of the units attribute of a time bin."""

MAX_NUMBER_BYTES = 400
"""Maximum bytes of a time stored as text."""


def select(
    assembly: xr.DataArray,
    region: str | None = None,
    time_bin: tuple[float, float] | None = None,
    keep_above: Mapping[str, float] | None = None,
) -> xr.DataArray:
    """Read the responses of a region's neuroids in a time bin: (presentation, neuroid), in memory.

    region: a value of the coordinate region; None: all neuroids.
    time_bin: start and end in ms after onset. Selects the bin that equals it, or the mean (NaN skipped) over bins of
        equal width that cover it without gaps, such as 1 ms bins. None: the only bin.

    keep_above: limits by neuroid coordinate, such as {"reliability": 0.3}; neuroids that are not above them, or NaN,
        are left out.

    The result's attribute incomplete_means counts the responses whose mean skips NaN bins, and unreliable_neuroids
    those left out by keep_above.

    float32 stays float32 unless bins are averaged; everything else becomes float64. Values are read in blocks.

    Raises CornetError for an unknown region or bin, bins that do not end after they start, non-numeric values, and
    a file that cannot be read.
    """
    if "neuroid" not in assembly.dims or assembly.dtype.kind not in "biuf":
        kind = "numbers" if assembly.dtype.kind in "biuf" else f"text ({assembly.dtype})"
        raise CornetError(
            f"the assembly {assembly.name} contains {kind} along {', '.join(map(str, assembly.dims))}, but "
            "responses must be numbers along presentation and neuroid; use the behavioural benchmarks for choices."
        )
    neuroids = _find_neuroids(assembly, region)
    found = len(neuroids)
    neuroids = _above(assembly, neuroids, keep_above or {})
    bins, interval = _find_bins(assembly, time_bin)
    exact = len(bins) <= 1 and assembly.dtype in (np.float32, np.float64)
    shape = assembly.sizes["presentation"], len(neuroids)
    values = np.empty(shape, assembly.dtype if exact else np.float64)
    incomplete = 0
    for index, block in _blocks(assembly, neuroids, bins):
        values[index] = block if block.ndim == 2 else _mean(block)
        if block.ndim == 3:
            incomplete += int((np.isnan(block).any(axis=-1) & ~np.isnan(values[index])).sum())
    selected = assembly.isel(neuroid=neuroids)
    coordinates = {
        name: coordinate.variable
        for name, coordinate in selected.coords.items()
        if "time_bin" not in coordinate.dims
    }
    if interval is not None:
        coordinates |= {
            "time_bin_start": xr.Variable((), interval[0]),
            "time_bin_end": xr.Variable((), interval[1]),
        }
    attributes = assembly.attrs | {
        "incomplete_means": incomplete,
        "unreliable_neuroids": found - len(neuroids),
    }
    return xr.DataArray(values, coordinates, ("presentation", "neuroid"), assembly.name, attributes)


def _find_neuroids(assembly: xr.DataArray, region: str | None) -> NDArray[np.int64]:
    if region is None:
        return np.arange(assembly.sizes["neuroid"])
    if "region" not in assembly.coords:
        raise CornetError(
            f"region={region!r} cannot be selected, because the assembly {assembly.name} has no coordinate region; "
            "omit it."
        )
    regions = np.broadcast_to(assembly.coords["region"].values.astype(str), assembly.sizes["neuroid"])
    neuroids = np.flatnonzero(regions == region)
    if not len(neuroids):
        raise CornetError(
            f"region={region!r} is not in the assembly {assembly.name}; it has "
            f"{', '.join(np.unique(regions)) or 'no neuroids'}."
        )
    return neuroids


def _above(
    assembly: xr.DataArray, neuroids: NDArray[np.int64], limits: Mapping[str, float]
) -> NDArray[np.int64]:
    """Return the neuroids whose coordinates are above the limits. Raises CornetError if none is."""
    for name, limit in limits.items():
        coordinate = assembly.coords.get(name)
        if coordinate is None or coordinate.dims != ("neuroid",) or coordinate.dtype.kind not in "biuf":
            raise CornetError(
                f"keep_above names {name!r}, but the assembly {assembly.name} has no numbers of that name along "
                "neuroid; correct it in bundle.json."
            )
        values = coordinate.values[neuroids]
        kept = neuroids[values > limit]  # NaN is not above
        if not len(kept):
            raise CornetError(
                f"none of {len(neuroids)} neuroids of the assembly {assembly.name} has a {name} above {limit:g} "
                f"(largest: {np.nanmax(values, initial=-np.inf):.3g}); lower keep_above in bundle.json."
            )
        neuroids = kept
    return neuroids


def _find_bins(
    assembly: xr.DataArray, time_bin: tuple[float, float] | None
) -> tuple[NDArray[np.int64], tuple[float, float] | None]:
    """Return the positions of the bins that cover a time bin, and the time bin (None if the file does not name it)."""
    has_bins = "time_bin" in assembly.dims
    number = assembly.sizes["time_bin"] if has_bins else 1
    if not {"time_bin_start", "time_bin_end"} <= {*assembly.coords}:
        if time_bin is None and number == 1:
            return np.arange(number), None
        raise CornetError(
            f"the assembly {assembly.name} has {number} time bins, but not the coordinates time_bin_start and "
            "time_bin_end; add them."
        )
    starts, ends = (_milliseconds(assembly, name) for name in ("time_bin_start", "time_bin_end"))
    if (
        number
        and float(np.max(ends - starts, initial=0)) < 1
        and (np.abs(ends) < 10).all()
        and (ends != starts).any()
    ):
        raise CornetError(
            f"the time bins of the assembly {assembly.name} ({_format_bins(starts, ends)}) are shorter than 1 ms and "
            "look like seconds; write time_bin_start and time_bin_end in ms after onset."
        )
    if not (forward := ends > starts).all():
        raise CornetError(
            f"{int((~forward).sum())} of {number} time bins of the assembly {assembly.name} do not end after they "
            f"start ({_format_bins(starts[~forward], ends[~forward])} ms); correct time_bin_start and time_bin_end."
        )
    if time_bin is None:
        if number != 1:
            raise CornetError(
                f"the assembly {assembly.name} has {number} time bins ({_format_bins(starts, ends)} ms); choose one "
                "with time_bin=(start, end), --time-bin START-END or brain.time_bin."
            )
        return np.arange(1), (float(starts[0]), float(ends[0]))
    start, end = check_bin(time_bin)
    same = np.flatnonzero((starts == start) & (ends == end))
    inside = np.flatnonzero((starts >= start) & (ends <= end))
    inside = inside[np.argsort(starts[inside], kind="stable")]
    if len(same) == 1:
        return same, (start, end)
    if not len(inside) or not _is_covered(starts[inside], ends[inside], start, end):
        raise CornetError(
            f"time_bin=({start:g}, {end:g}) is not a bin of the assembly {assembly.name} and not covered by bins of "
            f"equal width; choose one of {_format_bins(starts, ends)} (ms after onset)."
        )
    return inside, (start, end)


def _milliseconds(assembly: xr.DataArray, name: str) -> NDArray[np.float64]:
    values = np.atleast_1d(assembly.coords[name].values)
    units = str(assembly.coords[name].attrs.get("units", "ms"))
    if units.strip().lower() not in MS_UNITS:
        raise CornetError(
            f"the assembly {assembly.name} has {name} in {units[:40]!r}; write the times in ms after onset."
        )
    try:
        if values.dtype.kind in "SU" and values.dtype.itemsize > MAX_NUMBER_BYTES:
            raise ValueError  # numpy would need a hundred times the memory of a long text
        return values.astype(float)
    except (TypeError, ValueError):
        raise CornetError(
            f"the assembly {assembly.name} has {str(values.flat[0])!r:.40} in {name}, which is not a number; write "
            "the times in ms after onset."
        ) from None


def _is_covered(starts: NDArray, ends: NDArray, start: float, end: float) -> bool:
    widths = ends - starts
    return bool(
        np.isclose(starts[0], start)
        and np.isclose(ends[-1], end)
        and np.allclose(starts[1:], ends[:-1])
        and np.allclose(widths, widths[0])
    )


def _format_bins(starts: NDArray, ends: NDArray) -> str:
    """Format the bins as text; long lists are shortened in the middle."""
    names = [f"{start:g}-{end:g}" for start, end in zip(starts, ends, strict=True)]
    if len(names) > 8:
        names = [*names[:4], "...", *names[-3:]]
    return ", ".join(names)


def _blocks(
    assembly: xr.DataArray, neuroids: NDArray[np.int64], bins: NDArray[np.int64]
) -> Iterator[tuple[tuple[slice, NDArray[np.int64]], NDArray]]:
    """Yield blocks: the index into (presentation, neuroid), and values (presentation, neuroid[, several bins]).

    Blocks are ranges in the file's order of dimensions: reading single neuroids or bins is slow.
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
            raise CornetError(damage_message(str(assembly.name), error)) from None
        values = values.transpose(order)
        if len(taken) < values.shape[1]:
            values = values[:, taken - part["neuroid"][0]]
        if timed:
            values = values[:, :, 0] if len(bins) == 1 else values[:, :, bins - bins.min()]
        yield (slice(*part["presentation"]), np.searchsorted(neuroids, taken)), values


def _mean(block: NDArray) -> NDArray[np.float64]:
    """Return the mean over the last axis. NaN are skipped; all-NaN rows give NaN."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Mean of empty slice", RuntimeWarning)
        return np.nanmean(block, axis=-1, dtype=np.float64)

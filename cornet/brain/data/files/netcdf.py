"""Read an assembly from a netCDF file: one data variable with flat coordinates along each dimension.

Variables keep their order of creation, which determines the order of averaged stimuli. image_id is read as
stimulus_id, coordinates may be stored as data variables, and groups (brainio's `extras`) are skipped with a warning.
"""

import logging
import math
import os
import warnings
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import xarray as xr
from scipy.io import netcdf_file
from xarray.core.indexing import CopyOnWriteArray, MemoryCachedArray

from cornet.brain.data.files.bundle_files import assembly_path, checked_folder
from cornet.brain.data.files.hdf5 import SMALL, hdf5_problem, root_groups
from cornet.errors import CornetError
from cornet.opening import open_regular

__all__ = ["DIMENSIONS", "close_file", "damage_message", "is_unread", "load_assembly"]

log = logging.getLogger("cornet")

# The first four bytes of a file.
NETCDF3 = (b"CDF\x01", b"CDF\x02")
CDF5 = b"CDF\x05"

DIMENSIONS = ("presentation", "neuroid", "time_bin")
"""Possible dimensions of an assembly; presentation is required."""

DEFAULT_FILL = {"f4": 9.969209968386869e36, "f8": 9.969209968386869e36}
"""The netCDF library's fill values for unwritten data if _FillValue is not set; read as NaN."""

MAX_TEXT = 4096
"""Maximum characters of a coordinate with many entries: numpy pads all of them to the longest."""


def load_assembly(folder_or_file: str | os.PathLike[str]) -> xr.DataArray:
    """Read an assembly from a bundle's folder or from a netCDF file.

    Returns (presentation[, neuroid][, time_bin]) with the file's order of dimensions. Coordinates are in memory, in
    file order, text as numpy text, with stimulus_id along presentation. Values are read on first use
    (`cornet.brain.select` reads them in blocks).

    Raises CornetError if the file is missing, truncated, not netCDF, or unsafe (see `cornet.brain.data.files.hdf5`), or
    does not have exactly one data variable.
    """
    path = Path(folder_or_file).expanduser()
    if not path.is_file():
        path = assembly_path(checked_folder(path))
    dataset, order = _open(path)
    name = _data_variable(dataset, path)
    dimensions = dataset[name].dims
    flattened = [
        other
        for other in dataset.data_vars
        if other != name and set(dataset.variables[other].dims) <= set(dimensions)
    ]
    assembly = dataset.set_coords(flattened)[name]
    try:
        # xarray sorts variables marked as coordinates after the others.
        names = sorted(assembly.coords, key=lambda name: order.get(str(name), len(order)))
        coordinates = {name: _load(assembly.coords[name]) for name in names}
    except Exception as error:  # as in _open
        raise CornetError(damage_message(path, error)) from None
    if "stimulus_id" not in coordinates and "image_id" in coordinates:
        coordinates = {
            "stimulus_id" if name == "image_id" else name: value for name, value in coordinates.items()
        }
    if "stimulus_id" not in coordinates or coordinates["stimulus_id"].dims != ("presentation",):
        raise CornetError(
            f"the assembly {path} has the coordinates {', '.join(map(str, coordinates)) or '(none)'}, but "
            "stimulus_id along presentation is required; add it."
        )
    coordinates["stimulus_id"] = coordinates["stimulus_id"].astype(str)
    variable = assembly.variable
    if variable.dims == ("presentation",):  # choices are small
        try:
            variable = _load(assembly)
        except Exception as error:
            raise CornetError(damage_message(path, error)) from None
    result = xr.DataArray(variable, coords=coordinates, name=name, attrs=dataset.attrs | assembly.attrs)
    result.encoding = {"source": str(path)}
    result.set_close(dataset._close)
    close_file(result)
    return result


def close_file(assembly: xr.DataArray) -> None:
    """Close an assembly's file until its values are read: HDF5 does not notice that an open file was overwritten."""
    close = assembly._close
    assembly.close()
    assembly.set_close(close)


def is_unread(assembly: xr.DataArray) -> bool:
    """Return whether the values are still only in the file. Values in memory may have been modified."""
    data: Any = assembly.variable._data
    lazy = isinstance(data, MemoryCachedArray) and isinstance(data.array, CopyOnWriteArray)
    return lazy and not data.array._copied


def damage_message(path: Path | str, error: Exception) -> str:
    """Return the error message for a file that opens but cannot be read."""
    reason = str(error).splitlines()[0] if str(error) else type(error).__name__
    return f"the assembly {path} cannot be read ({reason}); it is damaged, so fetch or write it again."


def _open(path: Path) -> tuple[xr.Dataset, dict[str, int]]:
    """Open the file. Returns the dataset and the position of each variable in the file."""
    try:
        netcdf4 = h5py.is_hdf5(path)
        with open_regular(path) as file:
            start = file.read(4)
        if not netcdf4 and start not in NETCDF3:
            kind = "CDF-5, which is not supported" if start == CDF5 else "not a netCDF file"
            raise CornetError(
                f"the assembly {path} is {kind} (it starts with {start!r}); fetch it again or write it with xarray's "
                "to_netcdf."
            )
        if netcdf4:
            if problem := hdf5_problem(path):
                raise CornetError(
                    f"the assembly {path} {problem}; write it again as one self-contained file."
                )
            if groups := root_groups(path):
                log.warning("%s: skipping groups: %s", path, ", ".join(groups)[:200])
            with h5py.File(path) as content:
                names = list(content)
        else:
            names = netcdf3_order(path)
        # Do not decode times: milliseconds must not become timedeltas. Unnamed dimensions (plain HDF5) get a name here
        # and are rejected below.
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # contradictory attributes
            options: dict[str, Any] = (
                {"engine": "h5netcdf", "phony_dims": "sort"} if netcdf4 else {"engine": "scipy"}
            )
            raw = xr.open_dataset(path, decode_cf=False, **options)
            for variable in raw.variables.values():
                fill = DEFAULT_FILL.get(variable.dtype.newbyteorder("=").str[1:])
                if (
                    fill
                    and len(variable.dims) > 1
                    and not {"_FillValue", "missing_value"} & {*variable.attrs}
                ):
                    variable.attrs["_FillValue"] = variable.dtype.type(fill)
            dataset = xr.decode_cf(raw, decode_times=False)
            dataset.set_close(raw._close)  # raw.close would close it only once
        return dataset, {name: position for position, name in enumerate(names)}
    except CornetError:
        raise
    except Exception as error:  # damaged files raise anything (AttributeError, struct.error, ...)
        raise CornetError(damage_message(path, error)) from None


def netcdf3_order(path: Path) -> list[str]:
    """Return the names of the variables in file order. Raises ValueError for overlapping variables and for text."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # the memory map is still open when the file closes
        with netcdf_file(path, "r", mmap=True, maskandscale=False) as file:  # reads only the header
            declared = 0
            for name, variable in file.variables.items():
                if variable.typecode() == "c" and variable.dimensions in ((axis,) for axis in DIMENSIONS):
                    raise ValueError(f"{name!r} has one letter for each {variable.dimensions[0]}, not text")
                declared += math.prod(variable.shape) * variable.itemsize()
            if declared > (size := path.stat().st_size):
                raise ValueError(f"its variables declare {declared:,} bytes, but it has {size:,}")
            return list(file.variables)


def _data_variable(dataset: xr.Dataset, path: Path) -> str:
    """Return the name of the variable with the responses: the only one with the most dimensions."""
    # Plain variables: indexing the dataset attaches all coordinates, which takes minutes for thousands of them.
    sizes = {str(name): dataset.variables[name].ndim for name in dataset.data_vars}
    most = max(sizes.values(), default=0)
    names = [name for name, size in sizes.items() if size == most > 0]
    if not names:
        raise CornetError(f"the assembly {path} has no data variable, but needs one; add it.")
    if len(names) > 1:
        raise CornetError(
            f"the assembly {path} has {len(names)} data variables, such as {names[0]!r} and {names[1]!r}, but must "
            "have one; mark the others as coordinates or move them to separate files."
        )
    dimensions = dataset[names[0]].dims
    if "presentation" not in dimensions or not set(dimensions) <= set(DIMENSIONS):
        raise CornetError(
            f"the assembly {path} has the dimensions {', '.join(map(str, dimensions))}, but must have presentation "
            "and optionally neuroid and time_bin; rename them."
        )
    if dataset[names[0]].dtype.kind in "OUS" and dimensions != ("presentation",):
        raise CornetError(
            f"the assembly {path} contains text along {', '.join(map(str, dimensions))}, but responses must be numbers "
            "and choices must have only the dimension presentation; write it again."
        )
    if dataset[names[0]].dtype.kind not in "biufOUS":
        raise CornetError(
            f"the assembly {path} contains {dataset[names[0]].dtype}, but must contain numbers or text; write it again."
        )
    return names[0]


def _load(coordinate: xr.DataArray) -> xr.Variable:
    """Load a coordinate into memory. Objects (netCDF's variable-length text) and bytes become numpy text."""
    variable = coordinate.variable.to_base_variable()
    needed = variable.dtype.itemsize * variable.size
    if variable.dtype.kind in "US" and variable.dtype.itemsize > MAX_TEXT and needed > SMALL // 16:
        raise ValueError(f"{coordinate.name} has text that needs {needed:,} bytes")
    values = np.asarray(variable.values)
    if values.dtype.kind == "S":
        values = np.char.decode(values, "utf-8")
    elif values.dtype.kind not in "biufU":
        longest = max((len(value) for value in values.ravel() if isinstance(value, str | bytes)), default=0)
        if longest > MAX_TEXT and 4 * longest * values.size > SMALL // 16:
            raise ValueError(f"{coordinate.name} has a text of {longest:,} characters")
        values = values.astype(str)
    return xr.Variable(variable.dims, values, variable.attrs)

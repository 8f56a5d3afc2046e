"""An assembly from a netCDF file: one data variable with flat coordinates along each dimension.

Variables stay in the order of creation, on which the order of averaged stimuli depends. image_id is read as
stimulus_id, coordinates stored as data are found, and groups (brainio's `extras`) are skipped with a log message.
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

from cornet.brain.data.bundle_files import assembly_path, checked_folder
from cornet.brain.data.hdf5 import FREE, groups_of, hdf5_problem
from cornet.errors import CornetError
from cornet.opening import open_regular

__all__ = ["CDF5", "DIMENSIONS", "as_in_file", "close_file", "is_netcdf3", "load_assembly", "netcdf3_order"]

CDF5 = b"CDF\x05"


def is_netcdf3(start: bytes) -> bool:
    """By the first four bytes of a file."""
    return start in (b"CDF\x01", b"CDF\x02")


def netcdf3_order(path: Path, dimensions: tuple[str, ...]) -> list[str]:
    """The names of the variables, in file order. Raises ValueError for overlapping variables and text."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # of the map that is still in use as the file closes
        with netcdf_file(path, "r", mmap=True, maskandscale=False) as file:  # reads the header alone
            claimed = 0
            for name, variable in file.variables.items():
                if (
                    variable.typecode() == "c"
                    and len(variable.dimensions) == 1
                    and variable.dimensions[0] in dimensions
                ):
                    raise ValueError(f"{name!r} has one letter for each {variable.dimensions[0]}, not text")
                claimed += math.prod(variable.shape) * variable.itemsize()
            if claimed > (size := path.stat().st_size):
                raise ValueError(f"its variables claim {claimed:,} bytes, and it has {size:,}")
            return list(file.variables)


log = logging.getLogger("cornet")

DIMENSIONS = ("presentation", "neuroid", "time_bin")
"""What an assembly may have along its axes; presentation always."""

DEFAULT_FILL = {"f4": 9.969209968386869e36, "f8": 9.969209968386869e36}
"""What the netCDF library puts where nothing was written, if the file states no _FillValue: it is read as NaN."""

LONGEST_TEXT = 4096
"""Characters of an entry where there are many: numpy's text takes the longest one's room for all of them."""


def load_assembly(folder_or_file: str | os.PathLike[str]) -> xr.DataArray:
    """Read an assembly: a bundle's, or a netCDF file by its path.

    Returns (presentation[, neuroid][, time_bin]) in the file's own order of dimensions. Its coordinates are in memory,
    text as numpy text, in the file's order, with stimulus_id along presentation; its values are read when they are
    asked for (`cornet.brain.select` does so in blocks).

    Raises CornetError for a file that is missing, not netCDF, truncated, leads to other files, claims what it does
    not hold (see `cornet.brain.data.hdf5`), or holds no or several data variables.
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
        # xarray puts variables that are marked as coordinates behind those that are not.
        names = sorted(assembly.coords, key=lambda name: order.get(str(name), len(order)))
        coordinates = {name: _loaded(assembly.coords[name]) for name in names}
    except Exception as error:  # as in _open
        raise CornetError(damaged(path, error)) from None
    if "stimulus_id" not in coordinates and "image_id" in coordinates:
        coordinates = {
            "stimulus_id" if name == "image_id" else name: value for name, value in coordinates.items()
        }
    if "stimulus_id" not in coordinates or coordinates["stimulus_id"].dims != ("presentation",):
        raise CornetError(
            f"the assembly {path} has the coordinates {', '.join(map(str, coordinates)) or '(none)'}, but needs "
            "stimulus_id along presentation; add it."
        )
    coordinates["stimulus_id"] = coordinates["stimulus_id"].astype(str)
    variable = assembly.variable
    if variable.dims == ("presentation",):  # choices, which are few
        try:
            variable = _loaded(assembly)
        except Exception as error:
            raise CornetError(damaged(path, error)) from None
    result = xr.DataArray(variable, coords=coordinates, name=name, attrs=dataset.attrs | assembly.attrs)
    result.encoding = {"source": str(path)}
    result.set_close(dataset._close)
    close_file(result)
    return result


def close_file(assembly: xr.DataArray) -> None:
    """Close an assembly's file until its values are needed: HDF5 misses that an open file was written over."""
    close = assembly._close
    assembly.close()
    assembly.set_close(close)


def as_in_file(assembly: xr.DataArray) -> bool:
    """Whether an assembly's values are still to be read: once in memory, they may have been changed there."""
    data: Any = assembly.variable._data
    lazy = isinstance(data, MemoryCachedArray) and isinstance(data.array, CopyOnWriteArray)
    return lazy and not data.array._copied


def damaged(path: Path | str, error: Exception) -> str:
    """The sentence for a file that opens and then cannot be read."""
    reason = str(error).splitlines()[0] if str(error) else type(error).__name__
    return f"the assembly {path} cannot be read ({reason}); it is damaged, so fetch or write it again."


def _open(path: Path) -> tuple[xr.Dataset, dict[str, int]]:
    """The opened file, and the place of each variable in it."""
    try:
        netcdf4 = h5py.is_hdf5(path)
        with open_regular(path) as file:
            start = file.read(4)
        if not netcdf4 and not is_netcdf3(start):
            kind = "CDF-5, which is not read" if start == CDF5 else "not a netCDF file"
            raise CornetError(
                f"the assembly {path} is {kind} (it begins with {start!r}); fetch it again or write it with xarray's "
                "to_netcdf."
            )
        if netcdf4:
            if problem := hdf5_problem(path):
                raise CornetError(f"the assembly {path} {problem}; write it again, as one plain file.")
            if groups := groups_of(path):
                log.warning("%s: groups that are not read: %s", path, ", ".join(groups)[:200])
            with h5py.File(path) as content:
                names = list(content)
        else:
            names = netcdf3_order(path, DIMENSIONS)
        # Times stay the numbers that they are: milliseconds must not become time spans. Dimensions without a name
        # (plain HDF5) get one here, and are refused with it below.
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # of attributes that contradict one another
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
            dataset.set_close(raw._close)  # raw.close would close it once only
        return dataset, {name: place for place, name in enumerate(names)}
    except CornetError:
        raise
    except Exception as error:  # damage makes the reader fail in any way (AttributeError, struct.error, ...)
        raise CornetError(damaged(path, error)) from None


def _data_variable(dataset: xr.Dataset, path: Path) -> str:
    """The variable with the responses: the only one with the most dimensions, if they are an assembly's."""
    # As plain variables: with all their coordinates, thousands of them would take minutes.
    sizes = {str(name): dataset.variables[name].ndim for name in dataset.data_vars}
    most = max(sizes.values(), default=0)
    names = [name for name, size in sizes.items() if size == most > 0]
    if not names:
        raise CornetError(f"the assembly {path} holds no data variable; it must hold one.")
    if len(names) > 1:
        raise CornetError(
            f"the assembly {path} holds {len(names)} data variables, such as {names[0]!r} and {names[1]!r}, but must "
            "hold one; mark the others as coordinates, or keep them in files of their own."
        )
    dimensions = dataset[names[0]].dims
    if "presentation" not in dimensions or not set(dimensions) <= set(DIMENSIONS):
        raise CornetError(
            f"the assembly {path} has the dimensions {', '.join(map(str, dimensions))}, but they must be "
            "presentation and, where it has them, neuroid and time_bin; rename them."
        )
    if dataset[names[0]].dtype.kind in "OUS" and dimensions != ("presentation",):
        raise CornetError(
            f"the assembly {path} holds text along {', '.join(map(str, dimensions))}, but responses must be numbers, "
            "and choices stand along presentation alone; write it again."
        )
    if dataset[names[0]].dtype.kind not in "biufOUS":
        raise CornetError(
            f"the assembly {path} holds {dataset[names[0]].dtype}, but must hold numbers or text; write it again."
        )
    return names[0]


def _loaded(coordinate: xr.DataArray) -> xr.Variable:
    """A coordinate in memory; objects (text of any length, as netCDF keeps it) and bytes become numpy text."""
    variable = coordinate.variable.to_base_variable()
    room = variable.dtype.itemsize * variable.size
    if variable.dtype.kind in "US" and variable.dtype.itemsize > LONGEST_TEXT and room > FREE // 16:
        raise ValueError(f"{coordinate.name} has texts that take {room:,} bytes")
    values = np.asarray(variable.values)
    if values.dtype.kind == "S":
        values = np.char.decode(values, "utf-8")
    elif values.dtype.kind not in "biufU":
        longest = max((len(value) for value in values.ravel() if isinstance(value, str | bytes)), default=0)
        if longest > LONGEST_TEXT and 4 * longest * values.size > FREE // 16:
            raise ValueError(f"{coordinate.name} has a text of {longest:,} characters")
        values = values.astype(str)
    return xr.Variable(variable.dims, values, variable.attrs)

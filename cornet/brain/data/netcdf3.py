"""netCDF-3 files (classic, 64-bit offset): checks before one is read."""

import math
import warnings
from pathlib import Path

from scipy.io import netcdf_file

__all__ = ["CDF5", "is_netcdf3", "netcdf3_order"]

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

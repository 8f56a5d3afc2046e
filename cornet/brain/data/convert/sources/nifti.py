"""Read a volume from a NIfTI-1 file (.nii or .nii.gz): a header of 348 bytes, then the values.

A reader of one kind of file is smaller than a dependency on nibabel. Orientation and units are not needed here.
"""

import gzip
import math
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cornet.brain.data.convert.sources.hdf5_source import check_file
from cornet.errors import CornetError
from cornet.opening import open_regular

__all__ = ["read_volume"]

HEADER = 348
TYPES = {2: "u1", 4: "i2", 8: "i4", 16: "f4", 64: "f8", 256: "i1", 512: "u2", 768: "u4"}
"""NIfTI-1's codes of data types; complex, colour and long double are not read."""

MAX_BYTES = 2**28
"""Maximum bytes of a volume. Those of NSD at 1.8 mm have 81 x 104 x 83 voxels, 6 MB."""


def read_volume(path: Path) -> NDArray[Any]:
    """Return the volume, (x, y, z), with the file's scaling applied. Raises CornetError for any other file."""
    check_file(path, "the regions of interest of NSD (NIfTI-1)")
    try:
        with open_regular(path) as raw:
            packed = raw.read(2) == b"\x1f\x8b"
            raw.seek(0)
            file: Any = gzip.GzipFile(fileobj=raw) if packed else raw
            header = file.read(HEADER)
            order = _byte_order(header)
            if not order:
                raise _wrong(path, "is not a NIfTI-1 file")
            dims = struct.unpack(f"{order}8h", header[40:56])
            code = struct.unpack(f"{order}h", header[70:72])[0]
            offset, slope, intercept = struct.unpack(f"{order}3f", header[108:120])
            if not 3 <= dims[0] <= 7 or min(dims[1:4]) < 1 or any(size > 1 for size in dims[4 : dims[0] + 1]):
                raise _wrong(path, f"has {dims[0]} axes of {dims[1 : dims[0] + 1]} values, not three")
            if code not in TYPES:
                raise _wrong(path, f"has values of type {code}, which is not supported")
            dtype = np.dtype(f"{order}{TYPES[code]}")
            size = math.prod(dims[1:4]) * dtype.itemsize
            if size > MAX_BYTES or not HEADER <= offset <= 2**20:
                raise _wrong(path, f"declares {size:,} bytes at position {offset:g}")
            file.read(int(offset) - HEADER)
            data = file.read(size)
    except (OSError, EOFError, zlib.error, struct.error) as error:
        raise _wrong(path, f"is truncated or damaged ({error})") from None
    if len(data) < size:
        raise _wrong(path, f"is truncated ({len(data):,} of {size:,} bytes)")
    volume = np.frombuffer(data, dtype).reshape(dims[1:4], order="F")
    if slope not in (0.0, 1.0) or intercept:
        return volume * (slope or 1.0) + intercept
    return volume.astype(dtype.newbyteorder("="), copy=False)


def _byte_order(header: bytes) -> str:
    """Return "<" or ">" for a NIfTI-1 header in one file, else ""."""
    if len(header) < HEADER or header[344:348] != b"n+1\0":
        return ""
    return next((order for order in "<>" if struct.unpack(f"{order}i", header[:4])[0] == HEADER), "")


def _wrong(path: Path, found: str) -> CornetError:
    return CornetError(f"{path} {found}; expected a volume of NSD (NIfTI-1), so fetch it again.")

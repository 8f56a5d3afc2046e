"""Write an assembly as netCDF-4 from a flat file of responses, and compare it with the hashes of the blocks."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import h5netcdf
import h5py
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cornet.brain.data.convert.base import Block, Recording
from cornet.brain.data.convert.writing.work import FlatResponses, block_hash

__all__ = ["VARIABLE", "changed_block", "write_assembly"]

VARIABLE = "responses"
CHUNK_BYTES = 2**22
"""Bytes of a chunk: whole presentations if they fit."""


def write_assembly(
    path: Path,
    recording: Recording,
    neuroids: pd.DataFrame,
    flat: FlatResponses,
    attributes: Mapping[str, str],
) -> None:
    """Write coordinates and responses. neuroids: with the late columns. Equal content gives an equal file."""
    presentations, columns, bins = flat.shape
    cell = bins * flat.dtype.itemsize
    chunk = (
        max(1, min(presentations, CHUNK_BYTES // (columns * cell))),
        max(1, min(columns, CHUNK_BYTES // cell)),
        bins,
    )
    with h5netcdf.File(path, "w") as file:
        file.dimensions = {"presentation": presentations, "neuroid": columns, "time_bin": bins}
        for name, value in attributes.items():
            file.attrs[name] = value
        for dimension, table in (("presentation", recording.presentations), ("neuroid", neuroids)):
            for name in table:
                _coordinate(file, str(name), dimension, table[name].to_numpy())
        for position, name in enumerate(("time_bin_start", "time_bin_end")):
            edges = np.array([time_bin[position] for time_bin in recording.time_bins], np.float64)
            _coordinate(file, name, "time_bin", edges)
            file.variables[name].attrs["units"] = "ms"
        names = [*recording.presentations, *neuroids, "time_bin_start", "time_bin_end"]
        variable = file.create_variable(
            VARIABLE, ("presentation", "neuroid", "time_bin"), flat.dtype, chunks=chunk, fillvalue=np.nan
        )
        variable.attrs["coordinates"] = " ".join(str(name) for name in names)
        for first in range(0, presentations, chunk[0]):
            last = min(first + chunk[0], presentations)
            variable[first:last] = flat.rows(first, last)


def changed_block(path: Path, blocks: Sequence[Block], hashes: Sequence[str]) -> int | None:
    """Return the position of the first block whose values in the file differ from its hash; None if all are equal."""
    with h5py.File(path, "r") as file:
        variable = file[VARIABLE]
        for position, (block, sha256) in enumerate(zip(blocks, hashes, strict=True)):
            columns = slice(block.columns.start, block.columns.stop)
            if block.contiguous():
                values = variable[int(block.rows[0]) : int(block.rows[-1]) + 1, columns]
            else:
                values = np.stack([variable[row, columns] for row in block.rows.tolist()])
            if block_hash(values) != sha256:
                return position
    return None


def _coordinate(file: Any, name: str, dimension: str, values: NDArray[Any]) -> None:
    if values.dtype.kind in "biuf":
        numbers = values.astype(np.int8) if values.dtype.kind == "b" else values
        variable = file.create_variable(name, (dimension,), numbers.dtype)
        variable[...] = numbers
    else:
        variable = file.create_variable(name, (dimension,), h5py.string_dtype())
        variable[...] = values.astype(str).astype(object)

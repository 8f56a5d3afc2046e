"""Read parts of one array, by name, from .npy, .npz, MATLAB 7.3 (HDF5) or older MATLAB files, none of them trusted."""

import math
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import scipy.io
from numpy.typing import NDArray

from cornet.brain.data.convert.sources.hdf5_source import SourceFile, check_file
from cornet.brain.data.files.npz import read_arrays
from cornet.errors import CornetError

__all__ = ["SUFFIXES", "NamedArray"]

SUFFIXES = (".npy", ".npz", ".mat")

MATLAB_TYPES = {"double": "f8", "single": "f4", "uint8": "u1", "int16": "i2", "uint16": "u2", "int32": "i4"}
"""MATLAB's names of the types that are read."""


class NamedArray:
    """An array of numbers in a file. name: of the array; a .npy file has one without a name. expected: what the file
    must be, to complete "expected ...". axes: number of axes, in numpy's and MATLAB's order (HDF5 stores it reversed).

    Raises CornetError for a file of another kind, a missing array, and another type or number of axes.
    """

    def __init__(self, path: Path, name: str, axes: int, expected: str) -> None:
        self.path, self.name, self.expected = path, name, expected
        check_file(path, expected)
        self.hdf5 = path.suffix == ".mat" and bool(h5py.is_hdf5(path))
        try:
            self.shape, self.dtype = self._header()
        except CornetError:
            raise
        except Exception as error:  # parsers of damaged files raise many exceptions
            reason = " ".join(str(error).split()) or type(error).__name__
            raise self._wrong(f"is damaged or of another kind ({reason:.200})") from None
        if len(self.shape) != axes or self.dtype.kind not in "fiu" or 0 in self.shape:
            what = f"{self.dtype} {' x '.join(map(str, self.shape))}"
            raise self._wrong(f"has {name} of {what}, not numbers with {axes} axes")
        self._whole: NDArray[Any] | None = None

    def read(self, index: tuple[slice | int, ...], limit: int) -> NDArray[Any]:
        """Return a part of the array. index: for each axis. limit: bytes that may be read at once.

        .npz and older MATLAB files are read as a whole, once. Raises CornetError if that, or a chunk, needs more than
        the limit, and for a damaged file.
        """
        if self.hdf5:
            with SourceFile(self.path, self.expected) as file:
                file.check_chunks(self.name, limit)
                return np.asarray(file.dataset(self.name)[index[::-1]]).T
        if self.path.suffix == ".npy":
            return np.array(np.load(self.path, mmap_mode="r", allow_pickle=False)[index])
        if self._whole is None:
            size = math.prod(self.shape) * self.dtype.itemsize
            if size > limit:
                raise CornetError(
                    f"{self.path} is read as a whole and needs {size:,} bytes, but --memory allows {limit:,} for it; "
                    "give more memory, or save the array as .npy or MATLAB 7.3."
                )
            self._whole = self._load()
        return np.array(self._whole[index])

    def _header(self) -> tuple[tuple[int, ...], np.dtype[Any]]:
        """Return shape and type without reading the values."""
        if self.hdf5:
            with SourceFile(self.path, self.expected) as file:
                dataset = file.dataset(self.name)
                return tuple(dataset.shape[::-1]), dataset.dtype
        if self.path.suffix == ".npy":
            array = np.load(self.path, mmap_mode="r", allow_pickle=False)
            return array.shape, array.dtype
        if self.path.suffix == ".npz":
            arrays = read_arrays(self.path, self.expected)
            if self.name not in arrays:
                raise self._wrong(f"has no array {self.name} (found there: {', '.join(arrays) or 'none'})")
            return arrays[self.name].shape, arrays[self.name].dtype
        found = {name: (shape, kind) for name, shape, kind in scipy.io.whosmat(self.path)}
        if self.name not in found:
            raise self._wrong(f"has no array {self.name} (found there: {', '.join(found) or 'none'})")
        shape, kind = found[self.name]
        if kind not in MATLAB_TYPES:
            raise self._wrong(f"has {self.name} of MATLAB's type {kind}, not numbers")
        return tuple(shape), np.dtype(MATLAB_TYPES[kind])

    def _load(self) -> NDArray[Any]:
        if self.path.suffix == ".npz":
            return read_arrays(self.path, self.expected)[self.name]
        try:
            return np.asarray(scipy.io.loadmat(self.path, variable_names=[self.name])[self.name])
        except Exception as error:
            reason = " ".join(str(error).split()) or type(error).__name__
            raise self._wrong(f"is damaged ({reason:.200})") from None

    def _wrong(self, found: str) -> CornetError:
        return CornetError(
            f"{self.path} {found}; expected {self.expected}, so check which file this is or fetch it again."
        )

"""Read files of torch.save by the pickle walker: zip archives, and the files from before PyTorch 1.6.

It reads what `torch.load(weights_only=True)` refuses: tensors beside objects, which stay unread.
"""

import io
import math
import sys
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from cornet.models.weight_files.pickle_walker import Global, Unread, walk
from cornet.models.weight_files.plain_values import BUILDERS
from cornet.opening import open_regular

__all__ = ["read_torch_file"]

MAGIC, PROTOCOL = 0x1950A86A20F9469CFC6C, 1001
MAX_TENSORS = 100_000

STORAGES = {
    **{"DoubleStorage": torch.float64, "FloatStorage": torch.float32, "HalfStorage": torch.float16},
    **{"BFloat16Storage": torch.bfloat16, "LongStorage": torch.int64, "IntStorage": torch.int32},
    **{"ShortStorage": torch.int16, "CharStorage": torch.int8, "ByteStorage": torch.uint8},
    **{"BoolStorage": torch.bool, "ComplexFloatStorage": torch.complex64, "UntypedStorage": torch.uint8},
}
TYPES = {
    f"torch.{name}": getattr(torch, name)
    for name in (
        *("float64", "float32", "float16", "bfloat16", "int64", "int32", "int16", "int8", "uint8", "bool"),
        *("uint16", "uint32", "uint64", "complex64", "complex128", "float8_e4m3fn", "float8_e5m2"),
    )
}


class Storage(NamedTuple):
    """Numbers of tensors: those of `bytes` from the number `start`."""

    bytes: torch.UntypedStorage
    dtype: torch.dtype
    start: int = 0


def read_torch_file(path: Path) -> Any:
    """Return the content of a file. Objects in it are `Unread`, and arrays are `NumpyArray`.

    Raises ValueError or other exceptions for a damaged file.
    """
    with open_regular(path) as file:
        if not zipfile.is_zipfile(file):
            file.seek(0)
            return read_legacy(file.read())
        with zipfile.ZipFile(file) as archive:
            return read_archive(archive)


def read_archive(archive: zipfile.ZipFile) -> Any:
    names = set(archive.namelist())
    inner = next(
        (name for name in sorted(names) if name.count("/") == 1 and name.endswith("/data.pkl")), None
    )
    if inner is None:
        raise ValueError("it contains no data.pkl")
    folder = inner.removesuffix("data.pkl")
    swapped = f"{folder}byteorder" in names and archive.read(f"{folder}byteorder").decode() != sys.byteorder
    held: dict[str, torch.UntypedStorage] = {}

    def storage(saved: Any) -> Any:
        dtype, key, count = storage_facts(saved)
        if dtype is None:
            return Unread("a persistent id")
        if key not in held:
            held[key] = filled(archive.read(f"{folder}data/{key}"))
            if swapped:
                held[key].byteswap(dtype)
        if count * dtype.itemsize > held[key].nbytes():
            raise ValueError(f"the storage {key} is shorter than its pickle says")
        return Storage(held[key], dtype)

    return walk(io.BytesIO(archive.read(inner)), *TensorTable().tables(), storage)


def read_legacy(content: bytes) -> Any:
    """Read a file from before PyTorch 1.6: pickles, of which the fourth is the content, and then the numbers."""
    file = io.BytesIO(content)
    for expected in (MAGIC, PROTOCOL):
        if walk(file, {}, {}, Unread) != expected:
            raise ValueError("it does not begin as torch.save writes it")
    walk(file, BUILDERS, {}, Unread)  # the system that wrote it
    held: dict[str, Storage] = {}
    used = 0

    def storage(saved: Any) -> Any:
        nonlocal used
        dtype, key, count = storage_facts(saved)
        if dtype is None:
            return Unread(named(saved))
        if key not in held:
            used += count * dtype.itemsize
            if used > len(content):
                raise ValueError("its storages are longer than the file")
            held[key] = Storage(torch.UntypedStorage(count * dtype.itemsize), dtype)
        view = saved[5] if len(saved) > 5 else None
        start = view[1] if isinstance(view, tuple) and len(view) == 3 else 0
        if type(start) is not int or start < 0:
            raise ValueError(f"the storage {key} begins at an impossible place")
        return held[key]._replace(start=start)

    result = walk(file, *TensorTable().tables(), storage)
    for key in walk(file, {}, {}, Unread):
        one = held.pop(key)
        count = int.from_bytes(file.read(8), "little")
        numbers = file.read(one.bytes.nbytes())
        if count * one.dtype.itemsize != one.bytes.nbytes() or len(numbers) != one.bytes.nbytes():
            raise ValueError(f"the storage {key} has another length than its pickle says")
        one.bytes.copy_(filled(numbers))
    if held:
        raise ValueError(f"{len(held)} storages are missing")
    return result


def storage_facts(saved: Any) -> tuple[torch.dtype | None, str, int]:
    """Return type, key and number of numbers of a storage's persistent id; no type for any other id."""
    if not isinstance(saved, tuple) or len(saved) < 5 or saved[0] != "storage":
        return None, "", 0
    _, kind, key, _, count = saved[:5]
    dtype = STORAGES.get(kind.name.rpartition(".")[2]) if type(kind) is Global else None
    if dtype is None or not isinstance(key, str) or type(count) is not int or count < 0:
        return None, "", 0
    return dtype, key, count


def named(saved: Any) -> str:
    """Return a name for a persistent id that is not a storage's: old files store the source of modules so."""
    is_module = isinstance(saved, tuple) and len(saved) > 1 and isinstance(saved[1], Unread)
    return saved[1].name if is_module else "a persistent id"


def filled(numbers: bytes) -> torch.UntypedStorage:
    """Return a storage of its own with these bytes."""
    if not numbers:
        return torch.UntypedStorage(0)
    return torch.frombuffer(bytearray(numbers), dtype=torch.uint8).untyped_storage()


class TensorTable:
    """The builders of one file: those of plain values, and those of its tensors."""

    def __init__(self) -> None:
        self.count = 0

    def tables(self) -> tuple[dict[str, Callable[..., Any]], dict[str, Any]]:
        """Return builders and constants for `walk`."""
        first = "torch._utils._rebuild_"
        builders = {
            **BUILDERS,
            f"{first}tensor": self.tensor,
            f"{first}tensor_v2": self.tensor,
            f"{first}tensor_v3": self.tensor_of_type,
            f"{first}parameter": self.parameter,
            f"{first}parameter_with_state": self.parameter,
            "torch._tensor._rebuild_from_type_v2": self.tensor_with_state,
        }
        return builders, TYPES

    def tensor(self, *arguments: Any) -> Any:
        if len(arguments) < 4 or not isinstance(arguments[0], Storage):
            return NotImplemented
        storage, offset, size, stride = arguments[:4]
        return self.place(storage, offset, size, stride, storage.dtype)

    def tensor_of_type(self, *arguments: Any) -> Any:
        """Make a tensor of a type that old storages do not have. arguments[6]: the type."""
        known = len(arguments) > 6 and isinstance(arguments[0], Storage) and type(arguments[6]) is torch.dtype
        if not known:
            return NotImplemented
        storage, offset, size, stride = arguments[:4]
        return self.place(storage, offset, size, stride, arguments[6])

    def tensor_with_state(self, *arguments: Any) -> Any:
        """Make a tensor that has attributes, which are left out."""
        if len(arguments) != 4 or type(arguments[0]) is not Global or type(arguments[2]) is not tuple:
            return NotImplemented
        make = {"tensor_v2": self.tensor, "tensor_v3": self.tensor_of_type, "parameter": self.parameter}
        found = make.get(arguments[0].name.removeprefix("torch._utils._rebuild_"))
        return found(*arguments[2]) if found else NotImplemented

    def parameter(self, *arguments: Any) -> Any:
        return arguments[0] if arguments and isinstance(arguments[0], Tensor) else NotImplemented

    def place(self, storage: Storage, offset: Any, size: Any, stride: Any, dtype: torch.dtype) -> Tensor:
        """Return a tensor over a storage. Raises ValueError if it reaches beyond the storage."""
        self.count += 1
        if self.count > MAX_TENSORS:
            raise ValueError(f"it has more than {MAX_TENSORS:,} tensors")
        if not (
            are_counts((offset,)) and are_counts(size) and are_counts(stride) and len(size) == len(stride)
        ):
            raise ValueError("a tensor has an impossible shape")
        count, first = math.prod(size), storage.start + offset
        last = first + sum((n - 1) * step for n, step in zip(size, stride, strict=True))
        if count * dtype.itemsize >= 2**62 or (
            count and (last + 1) * dtype.itemsize > storage.bytes.nbytes()
        ):
            raise ValueError("a tensor has more numbers than its storage")
        return torch.empty(0, dtype=dtype).set_(storage.bytes, first if count else 0, size, stride)


def are_counts(values: Any) -> bool:
    """Return whether these are at most 64 whole numbers that are not negative."""
    known = isinstance(values, Sequence) and not isinstance(values, str | bytes) and len(values) <= 64
    return known and all(type(value) is int and 0 <= value < 2**62 for value in values)

"""Make plain values in place of the harmless classes that pickles name: containers, bytes and NumPy's arrays."""

import re
from typing import Any

import numpy as np

from cornet.models.weight_files.pickle_walker import State, Unread, pairs

__all__ = ["BUILDERS", "NumpyArray", "unread_name"]

NUMBERS = re.compile(r"[<>=|]?(?:[biuf]\d{1,2}|c8|c16|\?)")
"""Names of NumPy's types that hold numbers only."""


class NumpyType(State):
    """A data type of numbers. Pickles give its byte order as a state."""

    __slots__ = ("dtype",)

    def __init__(self, dtype: np.dtype) -> None:
        self.dtype = dtype

    def set_state(self, state: Any) -> None:
        if isinstance(state, tuple) and len(state) > 1 and state[1] in ("<", ">"):
            self.dtype = self.dtype.newbyteorder(state[1])


class NumpyArray(State):
    """An array of numbers, which is made only when it is asked for."""

    __slots__ = ("facts",)

    def __init__(self, *facts: Any) -> None:
        self.facts = facts  # bytes, type, shape, order

    def set_state(self, state: Any) -> None:
        """Take (version, shape, type, whether the order is Fortran's, bytes)."""
        if isinstance(state, tuple) and len(state) == 5:
            _, shape, kind, fortran, raw = state
            self.facts = (raw, kind, shape, "F" if fortran is True else "C")

    @property
    def shape(self) -> Any:
        return self.facts[2] if len(self.facts) == 4 else None

    @property
    def array(self) -> np.ndarray | None:
        """The array; None if its state is missing or is not that of an array of numbers."""
        try:
            return array_of(*self.facts) if len(self.facts) == 4 else None
        except ValueError:  # another number of bytes
            return None


def array_of(raw: Any, kind: Any, shape: Any, order: Any) -> np.ndarray | None:
    """Return an array, or None if the arguments are not those of an array of numbers."""
    if isinstance(raw, str):  # as protocol 2 stores bytes
        raw = raw.encode("latin-1", "ignore")
    if not isinstance(kind, NumpyType) or not isinstance(raw, bytes | bytearray) or not raw:
        return None
    if not isinstance(shape, tuple) or len(shape) > 32 or not all(type(n) is int and n >= 0 for n in shape):
        return None
    flat = np.frombuffer(raw, kind.dtype)
    return flat.reshape(shape, order="F" if order == "F" else "C")


# None of the functions below copies what it is given: one operation could copy a large value again and again.
def dict_of(*arguments: Any) -> Any:
    """Make a dict of an OrderedDict or a Counter: from nothing, a dict or pairs."""
    if not arguments:
        return {}
    if len(arguments) != 1:
        return NotImplemented
    if type(arguments[0]) is list and all(type(p) in (list, tuple) and len(p) == 2 for p in arguments[0]):
        items = [item for pair in arguments[0] for item in pair]
        arguments[0].clear()  # so that it is not copied again
        return pairs(items)
    return arguments[0] if type(arguments[0]) is dict else NotImplemented


def list_of(*arguments: Any) -> Any:
    """Give the list or tuple in place of a set, which would need hashes, or of a torch.Size."""
    if not arguments:
        return []
    known = len(arguments) == 1 and type(arguments[0]) in (list, tuple)
    return arguments[0] if known else NotImplemented


def text_or_bytes(*arguments: Any) -> Any:
    """Give the text in place of bytes or a device. A number would ask a bytearray for that many bytes."""
    if not arguments:
        return b""
    return arguments[0] if isinstance(arguments[0], str | bytes) else NotImplemented


def complex_of(*arguments: Any) -> Any:
    known = len(arguments) == 2 and all(type(part) is float for part in arguments)
    return complex(*arguments) if known else NotImplemented


def numpy_type(*arguments: Any) -> Any:
    known = arguments and isinstance(arguments[0], str) and NUMBERS.fullmatch(arguments[0])
    if not known:
        return NotImplemented
    try:
        return NumpyType(np.dtype(arguments[0]))
    except TypeError:
        return NotImplemented


def numpy_scalar(*arguments: Any) -> Any:
    """Make a Python number of a NumPy scalar."""
    if len(arguments) != 2 or not isinstance(arguments[1], str | bytes) or len(arguments[1]) > 16:
        return NotImplemented
    array = NumpyArray(arguments[1], arguments[0], (1,), "C").array
    return NotImplemented if array is None else array[0].item()


def numpy_array(*_: Any) -> Any:
    return NumpyArray()  # its state follows


BUILDERS = {
    **dict.fromkeys(("collections.OrderedDict", "collections.Counter", "builtins.dict"), dict_of),
    "collections.defaultdict": lambda *arguments: dict_of(*arguments[1:]),
    **dict.fromkeys(("builtins.list", "builtins.set", "builtins.frozenset", "torch.Size"), list_of),
    **dict.fromkeys(("_codecs.encode", "builtins.bytearray", "torch.device"), text_or_bytes),
    "builtins.complex": complex_of,
    "numpy.dtype": numpy_type,
    **{f"numpy.{core}.multiarray.scalar": numpy_scalar for core in ("core", "_core")},
    **{f"numpy.{core}.multiarray._reconstruct": numpy_array for core in ("core", "_core")},
    **{f"numpy.{core}.numeric._frombuffer": NumpyArray for core in ("core", "_core")},
}
"""Functions by the name of what they stand for. They return NotImplemented for arguments that they do not know."""


def unread_name(value: Any) -> str:
    """Return the name of what a value stands for if it was not read; otherwise ""."""
    if isinstance(value, NumpyArray) and value.array is None:
        return "numpy.ndarray"
    return value.name if isinstance(value, Unread) else ""

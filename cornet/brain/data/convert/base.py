"""Define what a converter provides: stimuli, presentations, neuroids, time bins, and blocks of responses.

A converter is one file in this package: a function with `@converter(...)` above it, which opens the published files
and returns a `Recording`. It is found by its file; no list needs to be edited.
"""

import difflib
import importlib
import pkgutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cornet.errors import CornetError

__all__ = [
    "NOMINAL_BIN",
    "Block",
    "Converter",
    "Images",
    "Options",
    "Recording",
    "converter",
    "converters",
    "find_converter",
]

NOMINAL_BIN = (70.0, 170.0)
"""Time bin in ms that Brain-Score gives to responses without a time axis."""


class Images(Protocol):
    """The images of a recording's stimuli, in the order of its table."""

    def inputs(self) -> Sequence[Path]:
        """Return the files that are read."""

    def data(self, index: int) -> bytes:
        """Return the encoded image file of one stimulus."""


@dataclass(frozen=True, eq=False)
class Block:
    """A rectangle of the responses that is read at once.

    rows: positions of its presentations. columns: range of its neuroids. source: what the converter needs to read it.
    """

    rows: NDArray[np.int64]
    columns: range
    source: Any = None

    def contiguous(self) -> bool:
        return bool((np.diff(self.rows) == 1).all())


class Recording(Protocol):
    """Published responses, opened.

    name: identifier of the bundle. stimuli: columns stimulus_id, filename, and others such as object_name and split.
    presentations: columns stimulus_id and repetition. neuroids: columns neuroid_id, region, subject, and the published
    quality measures. time_bins: start and end in ms. dtype: of the values. images: of the stimuli. rule: content of
    bundle.json. paths: the published files that are read. notes: sentences for the user.
    late: names of neuroid columns that `read` computes.
    """

    name: str
    stimuli: pd.DataFrame
    presentations: pd.DataFrame
    neuroids: pd.DataFrame
    time_bins: Sequence[tuple[float, float]]
    dtype: np.dtype[Any]
    images: Images
    rule: Mapping[str, Any]
    paths: Sequence[Path]
    notes: Sequence[str]
    late: Sequence[str]

    def blocks(self, limit: int) -> Sequence[Block]:
        """Divide the responses into blocks that `read` can read with at most `limit` bytes of memory."""

    def read(self, block: Block, limit: int) -> tuple[NDArray[Any], Mapping[str, NDArray[Any]]]:
        """Return the values of a block, (row, column, time bin), and the late columns of its neuroids."""


@dataclass(frozen=True)
class Options:
    """The user's options. images: a folder or file with the images. window, bin_ms, column, table, region_column: only
    for recordings with spike times."""

    path: Path
    images: Path | None = None
    window: tuple[float, float] | None = None
    bin_ms: float | None = None
    column: str | None = None
    table: str | None = None
    region_column: str | None = None
    degrees: float | None = None

    def as_json(self) -> dict[str, Any]:
        """Return the options that change the bundle, apart from paths."""
        names = ("window", "bin_ms", "column", "table", "region_column", "degrees")
        return {name: _plain(getattr(self, name)) for name in names if getattr(self, name) is not None}


@dataclass(frozen=True)
class Converter:
    """A kind of published data that can be converted. summary: what it is. files: the files needed. access: free,
    account or terms of use. address: of the paper or repository. open: opens the files."""

    name: str
    summary: str
    files: str
    licence: str
    access: str
    address: str
    citation: str
    open: Callable[[Options], Recording] = field(repr=False)
    spikes: bool = False


_CONVERTERS: dict[str, Converter] = {}


def converter(name: str, **known: Any) -> Callable[[Callable[[Options], Recording]], Any]:
    """Register a function as the converter `name`. known: the other fields of `Converter`."""

    def register(opens: Callable[[Options], Recording]) -> Callable[[Options], Recording]:
        _CONVERTERS[name] = Converter(name=name, open=opens, **known)
        return opens

    return register


def converters() -> Mapping[str, Converter]:
    """Return all converters by name. Imports every module of this package."""
    package = importlib.import_module(__package__ or "cornet.brain.data.convert")
    for module in pkgutil.iter_modules(package.__path__):
        importlib.import_module(f"{package.__name__}.{module.name}")
    return dict(sorted(_CONVERTERS.items()))


def find_converter(name: str) -> Converter:
    """Return the converter with this name. Raises CornetError if it is unknown."""
    known = converters()
    if name not in known:
        near = difflib.get_close_matches(name, known, n=1, cutoff=0.4)
        hint = f" (did you mean {near[0]}?)" if near else ""
        raise CornetError(
            f"the data set {name!r} cannot be converted{hint}; choose one of {', '.join(known)}."
        )
    return known[name]


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value

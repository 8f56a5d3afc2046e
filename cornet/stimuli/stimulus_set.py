"""The images that a subject is shown, with what is known of each."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cornet.errors import CornetError
from cornet.hashing import code_version

__all__ = ["Pictures", "StimulusSet"]


class Pictures(Protocol):
    """Images by position."""

    @property
    def identity(self) -> str:
        """A hash of their content, the same wherever they lie."""
        ...

    def __len__(self) -> int: ...

    def __getitem__(self, index: int) -> NDArray[np.uint8]:
        """(y, x, 3) RGB uint8, of any size."""
        ...


@dataclass(frozen=True, eq=False)
class StimulusSet:
    """Stimuli: a table with one row each, and their pictures in the same order.

    name: for messages and tables of results.
    table: columns stimulus_id (text, unique) and whatever is known (object_name, movie, ...).
    pictures: the images, in the table's order.
    degrees: visual angle that an image spans, side to side; None where nobody said.

    Raises CornetError for ids that are missing or occur twice, and for another number of pictures.
    """

    name: str
    table: pd.DataFrame = field(repr=False)
    pictures: Pictures = field(repr=False)
    degrees: float | None = None

    def __post_init__(self) -> None:
        if "stimulus_id" not in self.table:
            raise CornetError(
                f"the stimulus set {self.name} has the columns {', '.join(map(str, self.table.columns))}, but needs "
                "stimulus_id; add it."
            )
        twice = self.table["stimulus_id"][self.table["stimulus_id"].duplicated()]
        if len(twice):
            raise CornetError(
                f"the stimulus set {self.name} names {twice.iloc[0]!r} more than once ({len(twice)} such rows), but a "
                "stimulus_id must be unique; keep one row of each."
            )
        if len(self.pictures) != len(self.table):
            raise CornetError(
                f"the stimulus set {self.name} has {len(self.table)} rows and {len(self.pictures)} pictures; give one "
                "picture a row."
            )

    def __len__(self) -> int:
        return len(self.table)

    @property
    def ids(self) -> NDArray[np.str_]:
        """The stimulus ids, in order."""
        return self.table["stimulus_id"].to_numpy(dtype=str)

    @property
    def identity(self) -> str:
        """SHA-256 of the ids in order and of the pictures' content: what a recording depends on."""
        digest = hashlib.sha256(self.pictures.identity.encode())
        digest.update("\n".join(self.ids).encode())
        return digest.hexdigest()

    @property
    def code(self) -> str:
        """A hash of the code that reads the pictures."""
        pictures = self.pictures
        while isinstance(pictures, _SomePictures):
            pictures = pictures.pictures
        return code_version(type(pictures).__module__)

    def subset(self, rows: NDArray[np.int64]) -> "StimulusSet":
        """Some of the stimuli, in this order."""
        table = self.table.iloc[rows].reset_index(drop=True)
        return StimulusSet(self.name, table, _SomePictures(self.pictures, np.asarray(rows)), self.degrees)

    def positions(self, ids: Sequence[str]) -> NDArray[np.int64]:
        """Where these ids stand. Raises CornetError for one that is not here."""
        index = pd.Index(self.ids).get_indexer(pd.Index(np.asarray(ids, dtype=str)))
        if (index < 0).any():
            missing = np.asarray(ids)[index < 0]
            raise CornetError(
                f"{len(missing)} stimulus ids, such as {str(missing[0])!r}, are not in the stimulus set {self.name}; "
                "the assembly and the stimulus set must belong together."
            )
        return index.astype(np.int64)


class _SomePictures:
    """Some of the pictures."""

    def __init__(self, pictures: Pictures, rows: NDArray[np.int64]) -> None:
        self.pictures, self.rows = pictures, rows

    @property
    def identity(self) -> str:
        rows = hashlib.sha256(np.ascontiguousarray(self.rows, np.int64).tobytes()).hexdigest()
        return f"{self.pictures.identity} {rows}"

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int) -> NDArray[np.uint8]:
        return self.pictures[int(self.rows[index])]

"""Stimulus sets: images to show to a subject, with a table of their properties."""

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
    """A sequence of images."""

    @property
    def identity(self) -> str:
        """Hash of the content, independent of the location."""
        ...

    def __len__(self) -> int: ...

    def __getitem__(self, index: int) -> NDArray[np.uint8]:
        """(y, x, 3) RGB uint8, of any size."""
        ...


@dataclass(frozen=True, eq=False)
class StimulusSet:
    """A table with one row per stimulus, and the pictures in the same order.

    name: for messages and tables of results.
    table: column stimulus_id (text, unique), and other properties (object_name, movie, ...).
    pictures: the images, in the table's order.
    degrees: visual angle that an image spans from side to side; None if unknown.

    Raises CornetError for missing or duplicate ids, and if rows and pictures differ in number.
    """

    name: str
    table: pd.DataFrame = field(repr=False)
    pictures: Pictures = field(repr=False)
    degrees: float | None = None

    def __post_init__(self) -> None:
        if "stimulus_id" not in self.table:
            raise CornetError(
                f"the stimulus set {self.name} has the columns {', '.join(map(str, self.table.columns))}, but needs "
                "stimulus_id; add that column."
            )
        duplicates = self.table["stimulus_id"][self.table["stimulus_id"].duplicated()]
        if len(duplicates):
            raise CornetError(
                f"the stimulus set {self.name} names {duplicates.iloc[0]!r} more than once ({len(duplicates)} rows), "
                "but a stimulus_id must be unique; keep one row of each."
            )
        if len(self.pictures) != len(self.table):
            raise CornetError(
                f"the stimulus set {self.name} has {len(self.table)} rows and {len(self.pictures)} pictures; give one "
                "picture per row."
            )

    def __len__(self) -> int:
        return len(self.table)

    @property
    def ids(self) -> NDArray[np.str_]:
        """The stimulus ids, in order."""
        return self.table["stimulus_id"].to_numpy(dtype=str)

    @property
    def identity(self) -> str:
        """SHA-256 of the ids (in order) and of the pictures; recordings depend on both."""
        digest = hashlib.sha256(self.pictures.identity.encode())
        digest.update("\n".join(self.ids).encode())
        return digest.hexdigest()

    @property
    def code(self) -> str:
        """Hash of the code that reads the pictures."""
        pictures = self.pictures
        while isinstance(pictures, _PictureSubset):
            pictures = pictures.pictures
        return code_version(type(pictures).__module__)

    def subset(self, rows: NDArray[np.int64]) -> "StimulusSet":
        """Return the stimuli of `rows`, in this order."""
        table = self.table.iloc[rows].reset_index(drop=True)
        return StimulusSet(self.name, table, _PictureSubset(self.pictures, np.asarray(rows)), self.degrees)

    def positions(self, ids: Sequence[str]) -> NDArray[np.int64]:
        """Return the rows of stimulus ids. Raises CornetError for unknown ids."""
        index = pd.Index(self.ids).get_indexer(pd.Index(np.asarray(ids, dtype=str)))
        if (index < 0).any():
            missing = np.asarray(ids)[index < 0]
            raise CornetError(
                f"{len(missing)} stimulus ids, such as {str(missing[0])!r}, are not in the stimulus set {self.name}; "
                "the assembly and the stimulus set must belong together."
            )
        return index.astype(np.int64)


class _PictureSubset:
    """A subset of pictures, by row."""

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

"""scores.csv in the run's folder: one row per benchmark and evaluation, which a stop and a resume leave whole."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from cornet.csv_cells import csv_text
from cornet.errors import CornetError
from cornet.files import atomic_write
from cornet.runs.tables import read_rows, read_scores

__all__ = ["ScoresCsv", "read_scores"]


class ScoresCsv:
    """The table of a run's scores, rewritten with every evaluation; earlier rows stay as text, to the last digit.

    Raises CornetError for a file that is no such table.
    """

    def __init__(self, folder: Path | str) -> None:
        self.path = Path(folder) / "scores.csv"
        self._until: float = math.inf
        for row in self.rows:
            self._step(row)

    @property
    def rows(self) -> list[dict[str, Any]]:
        """Those of the file, as text, but for what a run that goes on makes again."""
        if not self.path.exists():
            return []
        table = read_rows(self.path)
        if not {"step", "benchmark"} <= set(table):
            raise CornetError(
                f"{self.path} is no table of scores (no step and benchmark); rename or remove it."
            )
        rows = [{str(k): v for k, v in row.items()} for row in table.to_dict("records")]
        return [row for row in rows if self._step(row) <= self._until]

    def resume_from(self, step: int) -> None:
        """Drop the rows of evaluations after `step`: a run that goes on from there makes them again."""
        self._until = step

    def add(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Add the rows of an evaluation, in the place of an earlier one of the same step and weights."""
        new = {self._key(row) for row in rows}
        kept = [row for row in self.rows if self._key(row) not in new]
        self.path.parent.mkdir(parents=True, exist_ok=True)
        atomic_write(self.path, csv_text(pd.DataFrame([*kept, *map(dict, rows)])))
        self._until = math.inf

    def _key(self, row: Mapping[str, Any]) -> tuple[int, str, str]:
        return self._step(row), str(row["benchmark"]), str(row.get("weights", ""))

    def _step(self, row: Mapping[str, Any]) -> int:
        try:
            return int(float(row["step"]))
        except (ValueError, OverflowError):
            raise CornetError(
                f"{self.path} has the step {row['step']!r}, which is no number of steps; rename or remove it."
            ) from None

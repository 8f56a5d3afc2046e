"""Write the scores of a run, one row per benchmark and evaluation, so that they survive a stop and a resume."""

import itertools
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from cornet.errors import CornetError
from cornet.runs.journal import Journal, Row, write_table
from cornet.runs.score_tables import (
    NUMBER,
    OLD_ACCURACY,
    SCORES,
    read_rows,
    read_scores,
    with_current_columns,
)

__all__ = ["RunScores", "read_scores"]


class RunScores:
    """Appends to `<folder>/scores.jsonl` and writes `<folder>/scores.csv` from it at every evaluation.

    If a folder of an earlier version has only a scores.csv, its rows are imported. Raises CornetError for files that
    are not tables of scores.
    """

    def __init__(self, folder: Path | str) -> None:
        self.path = Path(folder) / "scores.csv"
        self.journal = Journal(self.path.with_suffix(".jsonl"))
        for row in self._all():
            self._key(row)

    @property
    def rows(self) -> list[Row]:
        """The latest row per step, benchmark and kind of weights."""
        latest: dict[tuple[int, str, str], Row] = {}
        for row in self._all():
            latest.pop(self._key(row), None)
            latest[self._key(row)] = row
        return list(latest.values())

    def resume_from(self, step: int) -> None:
        """Remove the rows of evaluations after `step`: the resumed run evaluates again."""
        self._create_journal()
        self.journal.filter(lambda row: self._key(row)[0] <= step)

    def move_aside(self) -> str:
        """Rename the files of an earlier run to scores-1.* (or 2, ...). Returns the new name of scores.csv, or ""."""
        paths = [path for path in (self.path, self.journal.path) if path.exists()]
        if not paths:
            return ""
        number = next(
            n
            for n in itertools.count(1)
            if not any(path.with_stem(f"scores-{n}").exists() for path in (self.path, self.journal.path))
        )
        for path in paths:
            path.rename(path.with_stem(f"scores-{number}"))
        return str(self.path.with_stem(f"scores-{number}"))

    def add(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Add the rows of an evaluation. They replace those of an earlier one with the same step and weights."""
        self._create_journal()
        self.journal.append(rows)
        self.journal.sync()
        write_table(self.path, lambda: self.rows, nan="")

    def _all(self) -> Iterable[Row]:
        rows = self.journal.read() if self.journal.path.exists() else self._read_table()
        return map(with_current_columns, rows)

    def _create_journal(self) -> None:
        """Create the journal from scores.csv if it does not exist."""
        if not self.journal.path.exists() and (rows := self._read_table()):
            self.journal.append(rows)

    def _key(self, row: Mapping[str, Any]) -> tuple[int, str, str]:
        step = row.get("step")
        if "benchmark" not in row or type(step) is not int:
            raise CornetError(
                f"{self.journal.path} and {self.path.name} are not tables of scores (integer step and benchmark are "
                "missing); rename or remove them."
            )
        return step, str(row["benchmark"]), str(row.get("weights", ""))

    def _read_table(self) -> list[Row]:
        """Read the rows of scores.csv with the original types."""
        if not self.path.exists():
            return []
        table = read_rows(self.path)
        if not {"step", "benchmark"} <= set(table):
            raise CornetError(
                f"{self.path} is not a table of scores (step and benchmark are missing); rename or remove it."
            )
        rows = []
        for row in table.to_dict("records"):
            try:
                step = int(float(row["step"]))
            except (ValueError, OverflowError):
                raise CornetError(
                    f"{self.path} has the step {row['step']!r}, which is not a number of steps; rename or remove it."
                ) from None
            rows.append(
                {**{str(name): parse_cell(str(name), text) for name, text in row.items()}, "step": step}
            )
        return rows


def parse_cell(name: str, text: str) -> Any:
    """Convert a cell of scores.csv to its original type: a number in NUMBER columns, None if empty, else text."""
    if SCORES.get(name) != NUMBER and name != OLD_ACCURACY:
        return text
    if text.lstrip("-").isdigit():
        return int(text)
    try:
        return float(text)
    except ValueError:
        return text or None

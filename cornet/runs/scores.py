"""The scores of a run: one row for each benchmark and evaluation, which a stop and a resume leave whole."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from cornet.errors import CornetError
from cornet.runs.journal import Journal, Row, write_table
from cornet.runs.score_tables import NUMBER, SCORES, read_rows, read_scores

__all__ = ["RunScores", "read_scores"]


class RunScores:
    """Appends to `<folder>/scores.jsonl`, and writes `<folder>/scores.csv` from it at every evaluation.

    A folder with a scores.csv alone, of an earlier version, continues from that. Raises CornetError for files that are
    not such tables.
    """

    def __init__(self, folder: Path | str) -> None:
        self.path = Path(folder) / "scores.csv"
        self.journal = Journal(self.path.with_suffix(".jsonl"))
        for row in self._all():
            self._key(row)

    @property
    def rows(self) -> list[Row]:
        """The last evaluation of each benchmark at each step, with each kind of weights."""
        found: dict[tuple[int, str, str], Row] = {}
        for row in self._all():
            found.pop(self._key(row), None)
            found[self._key(row)] = row
        return list(found.values())

    def resume_from(self, step: int) -> None:
        """Drop the rows of evaluations after `step`: a run that continues from there makes them again."""
        self._begin()
        self.journal.keep(lambda row: self._key(row)[0] <= step)

    def add(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Add the rows of an evaluation, in the place of an earlier one of the same step and weights."""
        self._begin()
        self.journal.append(rows)
        self.journal.sync()
        write_table(self.path, lambda: self.rows, nan="")

    def _all(self) -> Iterable[Row]:
        return self.journal.read() if self.journal.path.exists() else self._of_table()

    def _begin(self) -> None:
        """Make a journal from the table where there is none."""
        if not self.journal.path.exists() and (rows := self._of_table()):
            self.journal.append(rows)

    def _key(self, row: Mapping[str, Any]) -> tuple[int, str, str]:
        step = row.get("step")
        if "benchmark" not in row or type(step) is not int:
            raise CornetError(
                f"{self.journal.path} and {self.path.name} are not tables of scores (no whole step and benchmark); "
                "rename or remove them."
            )
        return step, str(row["benchmark"]), str(row.get("weights", ""))

    def _of_table(self) -> list[Row]:
        """The rows of scores.csv as they were before they were written."""
        if not self.path.exists():
            return []
        table = read_rows(self.path)
        if not {"step", "benchmark"} <= set(table):
            raise CornetError(
                f"{self.path} is not a table of scores (no step and benchmark); rename or remove it."
            )
        rows = []
        for row in table.to_dict("records"):
            try:
                step = int(float(row["step"]))
            except (ValueError, OverflowError):
                raise CornetError(
                    f"{self.path} has the step {row['step']!r}, which is not a number of steps; rename or remove it."
                ) from None
            rows.append({**{str(name): cell(str(name), text) for name, text in row.items()}, "step": step})
        return rows


def cell(name: str, text: str) -> Any:
    """An entry of scores.csv as it was before it was written: numbers in the columns of numbers, texts in others."""
    if SCORES.get(name) != NUMBER:
        return text
    if text.lstrip("-").isdigit():
        return int(text)
    try:
        return float(text)
    except ValueError:
        return text or None

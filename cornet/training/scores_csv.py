"""scores.csv in the run's folder: one row per benchmark and evaluation, which a stop and a resume leave whole."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from cornet.errors import CornetError
from cornet.files import atomic_write

__all__ = ["ScoresCsv", "read_scores"]


def read_scores(path: Path | str, as_text: bool = False) -> pd.DataFrame:
    """The rows of a scores.csv, or of that in a run's folder; as_text: as they are written, to the last digit.

    Raises CornetError where it cannot be read.
    """
    file = Path(path)
    file = file / "scores.csv" if file.is_dir() else file
    try:
        return pd.read_csv(file, dtype=str, keep_default_na=False) if as_text else pd.read_csv(file)
    except (OSError, ValueError) as error:
        raise CornetError(
            f"{file} cannot be read as a table of scores ({error}); rename or remove it."
        ) from None


class ScoresCsv:
    """The table of a run's scores; written anew, aside and renamed, with every evaluation."""

    def __init__(self, folder: Path | str) -> None:
        self.path = Path(folder) / "scores.csv"
        self.rows: list[dict[str, Any]] = []
        if self.path.exists():
            table = read_scores(self.path, as_text=True)
            if not {"step", "benchmark"} <= set(table):
                raise CornetError(
                    f"{self.path} is no table of scores (no step and benchmark); rename or remove it."
                )
            self.rows = [{str(k): v for k, v in row.items()} for row in table.to_dict("records")]

    def resume_from(self, step: int) -> None:
        """Drop the rows of evaluations after `step`: a run that goes on from there makes them again."""
        self.rows = [row for row in self.rows if int(row["step"]) <= step]

    def add(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Add the rows of an evaluation, in the place of an earlier one of the same step."""
        new = {(int(row["step"]), row["benchmark"]) for row in rows}
        self.rows = [row for row in self.rows if (int(row["step"]), row["benchmark"]) not in new]
        self.rows += [dict(row) for row in rows]
        self.path.parent.mkdir(parents=True, exist_ok=True)
        atomic_write(self.path, pd.DataFrame(self.rows).to_csv(index=False))

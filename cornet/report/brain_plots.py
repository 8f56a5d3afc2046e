"""The plots of a run's brain scores, drawn from the tables in its folder."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from cornet.files import atomic_write
from cornet.report.brain_data import read_matrix, read_scores, read_times
from cornet.report.brain_matrix import draw_matrix
from cornet.report.brain_scores import draw_accuracy, draw_scores
from cornet.report.brain_times import draw_times

__all__ = ["BrainTables", "Picture", "draw_brain_plots", "draw_pictures", "read_brain_tables"]


@dataclass(frozen=True, eq=False)
class BrainTables:
    """What scoring left in a run's folder; None for what is not there."""

    scores: pd.DataFrame | None = None
    matrix: pd.DataFrame | None = None
    times: pd.DataFrame | None = None


@dataclass(frozen=True)
class Picture:
    """A PNG by the name of its file; narrow: the same one panel wide, for a telephone."""

    name: str
    wide: bytes
    narrow: bytes | None = None


def read_brain_tables(folder: Path | str) -> BrainTables:
    """scores.csv, step_matrix.csv, solution_times.csv. Raises CornetError for one that is there but is no table."""
    folder = Path(folder)
    return BrainTables(read_scores(folder), read_matrix(folder), read_times(folder))


def draw_pictures(tables: BrainTables, narrow: bool = False) -> list[Picture]:
    """All pictures for which there are numbers; narrow: each one panel wide, too."""
    scores, matrix, times = tables.scores, tables.matrix, tables.times
    drawings: dict[str, Callable[[int], bytes | None]] = {}
    if scores is not None:
        drawings["brain_scores.png"] = lambda columns: draw_scores(scores, columns)
        drawings["brain_accuracy.png"] = lambda columns: draw_accuracy(scores, columns)
    if matrix is not None and len(matrix):
        drawings["step_matrix.png"] = lambda columns: draw_matrix(matrix, scores, min(columns, 2))
    if times is not None:
        drawings["solution_times.png"] = lambda columns: draw_times(times, columns)
    found = []
    for name, draw in drawings.items():
        wide = draw(3)
        if wide is not None:
            found.append(Picture(name, wide, draw(1) if narrow else None))
    return found


def draw_brain_plots(folder: Path | str) -> list[Path]:
    """Write brain_scores.png, brain_accuracy.png, step_matrix.png and solution_times.png, those there is data for.

    Raises CornetError for a table that cannot be read, or a picture that cannot be written.
    """
    paths = []
    for picture in draw_pictures(read_brain_tables(folder)):
        path = Path(folder) / picture.name
        atomic_write(path, picture.wide)
        paths.append(path)
    return paths

"""Read metrics.csv of a run's folder with exact numbers."""

import csv
import io
from pathlib import Path

import numpy as np
import pandas as pd

from cornet.errors import CornetError
from cornet.opening import read_bytes

__all__ = ["read_metric_rows", "read_metrics"]

MAX_INT_LENGTH = 19  # integers with fewer characters fit in 64 bits


def read_metrics(path: Path | str) -> pd.DataFrame:
    """Read a metrics.csv, or that in a run's folder: NaN where nothing was logged, without an incomplete last line.

    Raises CornetError if the file is missing or empty, or cannot be read.
    """
    path = Path(path)
    path = path / "metrics.csv" if path.is_dir() else path
    columns, rows = read_metric_rows(path)
    if not columns:
        raise CornetError(f"{path} is missing or empty; train first, or name the folder of a run.")
    try:
        return pd.DataFrame({name: _numbers([row.get(name, "") for row in rows]) for name in columns})
    except ValueError as error:
        raise CornetError(f"{path} is not a table of metrics ({error}); name the folder of a run.") from error


def read_metric_rows(path: Path) -> tuple[list[str], list[dict[str, str]]]:
    """Read the columns and rows of a file, without an incomplete last line.

    Returns two empty lists if the file is missing. Raises CornetError if it cannot be read.
    """
    try:
        text = read_bytes(path).decode()
        complete = io.StringIO(text[: text.rfind("\n") + 1], newline=None)
        table = [row for row in csv.reader(complete) if row]
    except FileNotFoundError:
        return [], []
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise CornetError(f"{path} cannot be read ({error}); rename or remove it.") from error
    if not table:
        return [], []
    columns = table[0]
    return columns, [{k: v for k, v in zip(columns, row, strict=False) if v} for row in table[1:]]


def _numbers(texts: list[str]) -> np.ndarray:
    """Convert text to numbers with Python's parser: that of pandas is not exact in all versions."""
    if all(text.lstrip("-").isdigit() and len(text) < MAX_INT_LENGTH for text in texts):
        return np.array([int(text) for text in texts], dtype=np.int64)
    return np.array([float(text or "nan") for text in texts])

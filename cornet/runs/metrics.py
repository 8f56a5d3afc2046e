"""Reading metrics.csv of a run's folder, exactly as it was written."""

import csv
import io
from pathlib import Path

import numpy as np
import pandas as pd

from cornet.errors import CornetError
from cornet.opening import read_bytes

__all__ = ["read_metric_rows", "read_metrics"]

LONGEST = 19  # characters of a whole number that surely fits in 64 bits


def read_metrics(path: Path | str) -> pd.DataFrame:
    """The rows of a metrics.csv (or of that in a run's folder), NaN where nothing was logged; without a cut last line.

    Raises CornetError where there is none.
    """
    path = Path(path)
    path = path / "metrics.csv" if path.is_dir() else path
    columns, rows = read_metric_rows(path)
    if not columns:
        raise CornetError(f"There are no metrics at {path}; train first, or name the folder of a run.")
    try:
        return pd.DataFrame({name: _numbers([row.get(name, "") for row in rows]) for name in columns})
    except ValueError as error:
        raise CornetError(f"{path} is no table of metrics ({error}); name the folder of a run.") from error


def read_metric_rows(path: Path, end: int | None = None) -> tuple[list[str], list[dict[str, str]]]:
    """Columns and rows of a file's first `end` bytes, neither when there is none; a half line at its end is not."""
    try:
        text = read_bytes(path)[:end].decode()
        whole = io.StringIO(text[: text.rfind("\n") + 1], newline=None)
        table = [row for row in csv.reader(whole) if row]
    except FileNotFoundError:
        return [], []
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise CornetError(f"{path} cannot be read ({error}); rename or remove it.") from error
    if not table:
        return [], []
    columns = table[0]
    return columns, [{k: v for k, v in zip(columns, row, strict=False) if v} for row in table[1:]]


def _numbers(texts: list[str]) -> np.ndarray:
    """Exactly what was written: by Python's own reading, for pandas' is not exact in all its versions."""
    if all(text.lstrip("-").isdigit() and len(text) < LONGEST for text in texts):
        return np.array([int(text) for text in texts], dtype=np.int64)
    return np.array([float(text or "nan") for text in texts])

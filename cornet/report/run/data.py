"""Read the tables in a run's folder for reports.

scores.csv           one row per benchmark and evaluation
step_matrix.csv      raw score by area and step, against each region
time_matrix.csv      raw score by area, step and time bin of the responses
alignment.csv        alignment of saliency with maps of what is important, and controls
solution_times.csv   target and predicted solution time of each image
metrics.csv          losses and accuracies (see cornet.report.curves)

They are read leniently (`cornet.runs.score_tables`): a missing column is filled with NaN.
"""

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeGuard

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from cornet.opening import read_bytes
from cornet.runs.score_tables import NUMBER, SCORES, TEXT, TRUTH, read_table

__all__ = [
    "by_epoch",
    "is_int",
    "is_simulated",
    "latest",
    "read_alignment",
    "read_curves",
    "read_json",
    "read_logged",
    "read_matrix",
    "read_metrics",
    "read_scores",
    "read_time_matrix",
    "read_times",
    "seconds_of",
    "series",
]

_MATRIX: Mapping[str, str] = {
    "epoch": NUMBER,
    "benchmark": TEXT,
    "region": TEXT,
    "simulated": TRUTH,
    "area": TEXT,
    "step": NUMBER,
    "raw": NUMBER,
    "error": NUMBER,
}
_TIME_MATRIX: Mapping[str, str] = {
    **_MATRIX,
    "start": NUMBER,
    "end": NUMBER,
    "ceiling": NUMBER,
}
_ALIGNMENT: Mapping[str, str] = {
    "epoch": NUMBER,
    "maps": TEXT,
    "value": NUMBER,
    "error": NUMBER,
    "ceiling": NUMBER,
}
_TIMES: Mapping[str, str] = {
    "epoch": NUMBER,
    "benchmark": TEXT,
    "simulated": TRUTH,
    "stimulus_id": TEXT,
    "target_ms": NUMBER,
    "predicted_ms": NUMBER,
    "truth_ms": NUMBER,
    "tested": NUMBER,  # number of splits that tested the image; NaN if unknown
}


_KEY = ("epoch", "step")
_EVALUATED = ("val/", "brain/")
_LOSSES = ("train/loss", "val/loss")
"""Columns of metrics.csv: those of every row, and prefixes of those of evaluations and of losses."""


def read_scores(folder: Path) -> pd.DataFrame | None:
    """Read scores.csv sorted by epoch, with the later of two rows for one evaluation. None: missing."""
    table = _read(folder / "scores.csv", SCORES, needs=("epoch", "benchmark", "value"))
    if table is None:
        return None
    table = table[np.isfinite(table["epoch"])]
    table = table.drop_duplicates(["epoch", "benchmark", "weights"], keep="last")
    return table.sort_values("epoch", kind="stable").reset_index(drop=True)


def read_matrix(folder: Path) -> pd.DataFrame | None:
    """Read step_matrix.csv, without rows that have no step. None: missing."""
    table = _read(folder / "step_matrix.csv", _MATRIX, needs=("benchmark", "area", "step", "raw"))
    if table is None:
        return None
    return table[np.isfinite(table["step"])].astype({"step": int}).reset_index(drop=True)


def read_time_matrix(folder: Path) -> pd.DataFrame | None:
    """Read time_matrix.csv, without rows that have no step or bin. None: missing."""
    needs = ("benchmark", "area", "step", "start", "end", "raw")
    table = _read(folder / "time_matrix.csv", _TIME_MATRIX, needs=needs)
    if table is None:
        return None
    known = np.isfinite(table[["step", "start", "end"]]).all(axis=1)
    return table[known].astype({"step": int}).reset_index(drop=True)


def read_alignment(folder: Path) -> pd.DataFrame | None:
    """Read alignment.csv. None: missing."""
    return _read(folder / "alignment.csv", _ALIGNMENT, needs=("epoch", "maps", "value"))


def read_times(folder: Path) -> pd.DataFrame | None:
    """Read solution_times.csv: each benchmark's latest evaluation, and rows without an epoch. None: missing."""
    table = _read(folder / "solution_times.csv", _TIMES, needs=("benchmark", "target_ms", "predicted_ms"))
    if table is None:
        return None
    latest = table.groupby("benchmark")["epoch"].transform("max")
    return table[table["epoch"].isna() | (table["epoch"] == latest)].reset_index(drop=True)


def read_metrics(folder: Path) -> pd.DataFrame | None:
    """Read val/... and brain/... of metrics.csv, for rows that have any of them. Invalid numbers are NaN.

    The last row of each part is always included, so that a file with rows never gives an empty table. None: missing.
    """
    return _logged(folder, _EVALUATED, _evaluated)


def read_curves(folder: Path, metric: str) -> pd.DataFrame | None:
    """Read the columns of metrics.csv that `cornet.report.curves.plot_curves` draws, all rows. None: missing.

    metric: of the task.
    """
    return _logged(folder, (*_LOSSES, metric))


def read_logged(folder: Path, metric: str) -> tuple[pd.DataFrame | None, pd.DataFrame | None]:
    """Return the results of `read_metrics` and `read_curves` while reading metrics.csv once."""
    curves, drawn = [], (*_LOSSES, metric)

    def keep(rows: pd.DataFrame) -> pd.DataFrame:
        curves.append(rows[_columns(rows, drawn)])
        return _evaluated(rows[_columns(rows, _EVALUATED)])

    metrics = _logged(folder, (*drawn, *_EVALUATED), keep)
    if metrics is None:
        return None, None
    return metrics[_columns(metrics, _EVALUATED)], pd.concat(curves, ignore_index=True)


def by_epoch(epochs: ArrayLike, values: ArrayLike) -> pd.Series:
    """Return values indexed by epoch in order, the last value of each epoch, without non-finite entries."""
    curve = pd.Series(np.asarray(values, float), index=np.asarray(epochs, float))
    curve = curve[np.isfinite(curve) & np.isfinite(curve.index)]
    return curve[~curve.index.duplicated(keep="last")].sort_index()


def latest(numbers: pd.Series) -> float:
    """Return the last finite number; NaN if there is none."""
    finite = numbers[np.isfinite(numbers)]
    return float(finite.iloc[-1]) if len(finite) else math.nan


def series(scores: pd.DataFrame) -> list[tuple[str, pd.DataFrame]]:
    """Return (benchmark, its rows) in order of first appearance."""
    return [(str(name), rows) for name, rows in scores.groupby("benchmark", sort=False)]


def seconds_of(scores: pd.DataFrame, metrics: pd.DataFrame | None) -> tuple[dict[float, float], bool]:
    """Return {epoch: seconds of its evaluation}, and whether they include recording.

    brain/seconds of metrics.csv includes recording. If it was not logged, the seconds of scores.csv are used, which
    only cover the comparison.
    """
    if metrics is not None and "brain/seconds" in metrics:
        finite = metrics[np.isfinite(metrics["brain/seconds"])]
        logged = dict(zip(finite["step"], finite["brain/seconds"], strict=True))
        steps = dict(zip(scores["epoch"], scores["step"], strict=True))
        seconds = {float(epoch): float(logged[step]) for epoch, step in steps.items() if step in logged}
        if seconds:
            return seconds, True
    finite = scores[np.isfinite(scores["seconds"])]
    return {float(str(epoch)): float(rows.sum()) for epoch, rows in finite.groupby("epoch")["seconds"]}, False


def is_simulated(benchmark: str, *tables: pd.DataFrame | None) -> bool:
    """Return whether a benchmark is simulated according to any of the tables or to its name."""
    known = [table for table in tables if table is not None and "simulated" in table]
    flags = (table[table["benchmark"] == benchmark]["simulated"] for table in known)
    return benchmark.startswith("simulated") or any(bool(values.any()) for values in flags)


def read_json(path: Path) -> dict[str, Any]:
    """Read a JSON file. Return {} if it is missing or damaged, so that the report is written without it."""
    try:
        content = json.loads(read_bytes(path))
    except (OSError, ValueError, RecursionError):
        return {}
    return content if isinstance(content, dict) else {}


def is_int(value: Any) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool)


def _read(path: Path, columns: Mapping[str, str], needs: tuple[str, ...], **more: Any) -> pd.DataFrame | None:
    """Read the given columns and those that `others` selects. None: missing, or without rows."""
    if not path.is_file():
        return None
    table = read_table(path, columns, needs, **({"others": lambda name: None} | more))
    return table if len(table) else None


def _logged(folder: Path, wanted: tuple[str, ...], keep: Any = lambda rows: rows) -> pd.DataFrame | None:
    others = {"others": lambda name: NUMBER if name.startswith(wanted) else None}
    return _read(folder / "metrics.csv", dict.fromkeys(_KEY, NUMBER), needs=_KEY, keep=keep, **others)


def _columns(rows: pd.DataFrame, wanted: tuple[str, ...]) -> list[str]:
    return [name for name in rows if name in _KEY or name.startswith(wanted)]


def _evaluated(rows: pd.DataFrame) -> pd.DataFrame:
    evaluated = rows.drop(columns=list(_KEY)).notna().any(axis=1)
    evaluated.iloc[-1:] = True
    return rows[evaluated]

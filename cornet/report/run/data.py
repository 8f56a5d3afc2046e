"""The tables that scoring leaves in a run's folder, in the order in which they are shown.

scores.csv           one row per benchmark and evaluation
step_matrix.csv      raw score by area and step, against each region
solution_times.csv   target and predicted solution time of each image
metrics.csv          losses and accuracies (see cornet.report.curves)

They are read leniently (`cornet.runs.score_tables`): what is missing is a column of NaN.
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
    "read_curves",
    "read_json",
    "read_logged",
    "read_matrix",
    "read_metrics",
    "read_scores",
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
_TIMES: Mapping[str, str] = {
    "epoch": NUMBER,
    "benchmark": TEXT,
    "simulated": TRUTH,
    "stimulus_id": TEXT,
    "target_ms": NUMBER,
    "predicted_ms": NUMBER,
    "truth_ms": NUMBER,
    "tested": NUMBER,  # in how many splits; NaN where that is not told
}


_KEY = ("epoch", "step")
_EVALUATED = ("val/", "brain/")
_CURVES = ("train/loss", "val/loss", "val/top1")
"""Columns of metrics.csv: of every row, and how those of evaluations and of learning curves begin."""


def read_scores(folder: Path) -> pd.DataFrame | None:
    """scores.csv by epoch; of two rows for one evaluation the later one. None: missing."""
    table = _read(folder / "scores.csv", SCORES, needs=("epoch", "benchmark", "value"))
    if table is None:
        return None
    table = table[np.isfinite(table["epoch"])]
    table = table.drop_duplicates(["epoch", "benchmark", "weights"], keep="last")
    return table.sort_values("epoch", kind="stable").reset_index(drop=True)


def read_matrix(folder: Path) -> pd.DataFrame | None:
    """step_matrix.csv, without what had no step. None: missing."""
    table = _read(folder / "step_matrix.csv", _MATRIX, needs=("benchmark", "area", "step", "raw"))
    if table is None:
        return None
    return table[np.isfinite(table["step"])].astype({"step": int}).reset_index(drop=True)


def read_times(folder: Path) -> pd.DataFrame | None:
    """solution_times.csv, of each benchmark the latest evaluation where epochs are told. None: missing."""
    table = _read(folder / "solution_times.csv", _TIMES, needs=("benchmark", "target_ms", "predicted_ms"))
    if table is None:
        return None
    latest = table.groupby("benchmark")["epoch"].transform("max")
    return table[table["epoch"].isna() | (table["epoch"] == latest)].reset_index(drop=True)


def read_metrics(folder: Path) -> pd.DataFrame | None:
    """val/... and brain/... of metrics.csv, at the steps that have any of them, NaN for what is not a number.

    A row without them may be there, too, so that a file with rows is never empty. None: missing.
    """
    return _logged(folder, _EVALUATED, _evaluated)


def read_curves(folder: Path) -> pd.DataFrame | None:
    """What `cornet.report.curves.plot_curves` draws, of all rows of metrics.csv. None: missing."""
    return _logged(folder, _CURVES)


def read_logged(folder: Path) -> tuple[pd.DataFrame | None, pd.DataFrame | None]:
    """What `read_metrics` and `read_curves` return, from one reading of metrics.csv."""
    curves = []

    def keep(rows: pd.DataFrame) -> pd.DataFrame:
        curves.append(rows[_columns(rows, _CURVES)])
        return _evaluated(rows[_columns(rows, _EVALUATED)])

    metrics = _logged(folder, (*_CURVES, *_EVALUATED), keep)
    if metrics is None:
        return None, None
    return metrics[_columns(metrics, _EVALUATED)], pd.concat(curves, ignore_index=True)


def by_epoch(epochs: ArrayLike, values: ArrayLike) -> pd.Series:
    """Values by their epochs in order, the last of each; without those of which either is no number."""
    curve = pd.Series(np.asarray(values, float), index=np.asarray(epochs, float))
    curve = curve[np.isfinite(curve) & np.isfinite(curve.index)]
    return curve[~curve.index.duplicated(keep="last")].sort_index()


def latest(numbers: pd.Series) -> float:
    """The last that is finite; NaN where none is."""
    there = numbers[np.isfinite(numbers)]
    return float(there.iloc[-1]) if len(there) else math.nan


def series(scores: pd.DataFrame) -> list[tuple[str, pd.DataFrame]]:
    """The rows of each benchmark, in the order in which they first come."""
    return [(str(name), rows) for name, rows in scores.groupby("benchmark", sort=False)]


def seconds_of(scores: pd.DataFrame, metrics: pd.DataFrame | None) -> tuple[dict[float, float], bool]:
    """How long each evaluation took, by its epoch, and whether that is all of it.

    All of it is brain/seconds of metrics.csv, with the recording; where that was not logged, scores.csv tells the time
    of comparing alone.
    """
    if metrics is not None and "brain/seconds" in metrics:
        there = metrics[np.isfinite(metrics["brain/seconds"])]
        logged = dict(zip(there["step"], there["brain/seconds"], strict=True))
        steps = dict(zip(scores["epoch"], scores["step"], strict=True))
        found = {float(epoch): float(logged[step]) for epoch, step in steps.items() if step in logged}
        if found:
            return found, True
    there = scores[np.isfinite(scores["seconds"])]
    return {float(str(epoch)): float(rows.sum()) for epoch, rows in there.groupby("epoch")["seconds"]}, False


def is_simulated(benchmark: str, *tables: pd.DataFrame | None) -> bool:
    """Whether a benchmark is simulated, as any of these tables says, or its name does."""
    there = [table for table in tables if table is not None and "simulated" in table]
    said = (table[table["benchmark"] == benchmark]["simulated"] for table in there)
    return benchmark.startswith("simulated") or any(bool(one.any()) for one in said)


def read_json(path: Path) -> dict[str, Any]:
    """The content of a JSON file; empty where it is absent or damaged: the report is made without it."""
    try:
        content = json.loads(read_bytes(path))
    except (OSError, ValueError, RecursionError):
        return {}
    return content if isinstance(content, dict) else {}


def is_int(value: Any) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool)


def _read(path: Path, columns: Mapping[str, str], needs: tuple[str, ...], **more: Any) -> pd.DataFrame | None:
    """The named columns, and what `others` adds. None: missing, or without rows."""
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
    there = rows.drop(columns=list(_KEY)).notna().any(axis=1)
    there.iloc[-1:] = True
    return rows[there]

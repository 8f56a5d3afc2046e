"""The tables that scoring leaves in a run's folder, read leniently: what is missing is a column of NaN.

scores.csv           one row per benchmark and evaluation
step_matrix.csv      raw score by area and step, against each region
solution_times.csv   target and predicted solution time of each image
metrics.csv          losses and accuracies (see cornet.report.curves)
"""

import io
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from cornet.errors import CornetError

__all__ = ["is_simulated", "read_matrix", "read_metrics", "read_scores", "read_times", "series"]

_NUMBER, _TEXT = np.nan, ""

_SCORES: Mapping[str, object] = {
    "epoch": _NUMBER,
    "step": _NUMBER,
    "benchmark": _TEXT,
    "region": _TEXT,
    "value": _NUMBER,
    "value_error": _NUMBER,
    "scale": _TEXT,
    "raw": _NUMBER,
    "error": _NUMBER,
    "ceiling": _NUMBER,
    "n": _NUMBER,
    "simulated": _TEXT,
    "weights": _TEXT,
    "top1": _NUMBER,
    "notes": _TEXT,
    "failure": _TEXT,
}
_MATRIX: Mapping[str, object] = {
    "epoch": _NUMBER,
    "benchmark": _TEXT,
    "region": _TEXT,
    "area": _TEXT,
    "step": _NUMBER,
    "raw": _NUMBER,
    "error": _NUMBER,
}
_TIMES: Mapping[str, object] = {
    "epoch": _NUMBER,
    "benchmark": _TEXT,
    "simulated": _TEXT,
    "stimulus_id": _TEXT,
    "target_ms": _NUMBER,
    "predicted_ms": _NUMBER,
    "truth_ms": _NUMBER,
}


def read_scores(folder: Path) -> pd.DataFrame | None:
    """scores.csv by epoch, `simulated` as bool; of two rows for one evaluation the later one. None: there is none."""
    table = _read(folder / "scores.csv", _SCORES, needs=("epoch", "benchmark", "value"))
    if table is None:
        return None
    table["simulated"] = _truths(table["simulated"])
    table = table[np.isfinite(table["epoch"])]
    table = table.drop_duplicates(["epoch", "benchmark", "weights"], keep="last")
    return table.sort_values("epoch", kind="stable").reset_index(drop=True)


def read_matrix(folder: Path) -> pd.DataFrame | None:
    """step_matrix.csv, without what had no step. None: there is none."""
    table = _read(folder / "step_matrix.csv", _MATRIX, needs=("benchmark", "area", "step", "raw"))
    if table is None:
        return None
    return table[np.isfinite(table["step"])].astype({"step": int}).reset_index(drop=True)


def read_times(folder: Path) -> pd.DataFrame | None:
    """solution_times.csv, of each benchmark the latest evaluation where epochs are told. None: there is none."""
    table = _read(folder / "solution_times.csv", _TIMES, needs=("benchmark", "target_ms", "predicted_ms"))
    if table is None:
        return None
    table["simulated"] = _truths(table["simulated"])
    latest = table.groupby("benchmark")["epoch"].transform("max")
    return table[table["epoch"].isna() | (table["epoch"] == latest)].reset_index(drop=True)


def read_metrics(folder: Path) -> pd.DataFrame | None:
    """metrics.csv of whole lines. None: there is none."""
    return _read(folder / "metrics.csv", {}, needs=("epoch", "step"))


def series(scores: pd.DataFrame) -> list[tuple[str, pd.DataFrame]]:
    """The rows of each benchmark, in the order in which they first come."""
    return [(str(name), rows) for name, rows in scores.groupby("benchmark", sort=False)]


def is_simulated(benchmark: str, scores: pd.DataFrame | None) -> bool:
    """Whether a benchmark is simulated: as its scores say, or else by its name."""
    if scores is not None and len(rows := scores[scores["benchmark"] == benchmark]):
        return bool(rows["simulated"].any())
    return benchmark.startswith("simulated")


def _read(path: Path, columns: Mapping[str, object], needs: tuple[str, ...]) -> pd.DataFrame | None:
    """A last line that a killed process left half written is left out."""
    try:
        text = path.read_text()
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        raise CornetError(f"{path} cannot be read ({error}); restore it, or move it aside.") from None
    whole = text[: text.rfind("\n") + 1]
    if not whole.strip():
        return None
    texts = {name: str for name, missing in columns.items() if missing == _TEXT}
    try:
        table = pd.read_csv(io.StringIO(whole), dtype=texts)
    except ValueError as error:
        reason = " ".join(str(error).split()).rstrip(".")
        raise CornetError(
            f"{path} cannot be read as a table ({reason}); restore it, or move it aside."
        ) from None
    lacking = [name for name in needs if name not in table]
    if lacking:
        raise CornetError(
            f"{path} has no column {lacking[0]} ({', '.join(needs)} are needed); restore it, or move it aside."
        )
    for name, missing in columns.items():
        if missing == _TEXT:
            table[name] = table[name].fillna("") if name in table else ""
        else:
            table[name] = pd.to_numeric(table[name], errors="coerce") if name in table else np.nan
    return table if len(table) else None


def _truths(texts: pd.Series) -> pd.Series:
    return texts.astype(str).str.strip().str.lower().isin(("true", "1", "1.0", "yes"))

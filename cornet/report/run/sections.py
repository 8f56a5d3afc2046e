"""Render the sections of a run's report that show its tables."""

import math
from collections import Counter

import numpy as np
import pandas as pd
from markupsafe import Markup

from cornet.report.curves import label
from cornet.report.render import part, simulated_banner
from cornet.report.run.data import is_simulated, latest, seconds_of, series
from cornet.report.run.plots import BrainTables

__all__ = ["banner", "evaluations", "missing_scores", "notes", "summary_table", "times_table"]

WEIGHTS = {
    "raw": "as the optimiser left them",
    "averaged": "a running average over training steps",
}

TIMES = {
    "untrained": "raw score before training",
    "share_solved": "fraction of tested images solved",
    "share_solved_first_bin": "fraction of tested images solved in the first time bin",
    "images": "mean number of images in a split's correlation",
}


def banner(tables: BrainTables) -> Markup:
    """Render the banner that lists simulated benchmarks, above all numbers."""
    every = tables.scores, tables.matrix, tables.times, tables.over_time
    known = [table for table in every if table is not None]
    names = list(dict.fromkeys(str(name) for table in known for name in table["benchmark"]))
    simulated = [name for name in names if is_simulated(name, *known)]
    return simulated_banner(names, simulated, "all benchmarks on this page")


def missing_scores(scores: pd.DataFrame) -> Markup:
    """Render the benchmarks that failed or gave an undefined score, with the reasons."""
    failed = scores[scores["failure"] != ""]
    undefined = scores[(scores["failure"] == "") & ~np.isfinite(scores["value"])]
    reasons = undefined.assign(notes=undefined["notes"].replace("", "no reason was recorded"))
    return part(
        "run.missing_scores", failed=_counted(failed, "failure"), undefined=_counted(reasons, "notes")
    )


def notes(scores: pd.DataFrame) -> Markup:
    """Render the notes of defined scores."""
    noted = scores[(scores["notes"] != "") & np.isfinite(scores["value"])]
    return part("run.notes", counts=_counted(noted, "notes"))


def summary_table(scores: pd.DataFrame) -> Markup:
    """Render first, last and best score, with a row per benchmark (and kind of weights, if there are several)."""
    kinds = [str(kind) for kind in dict.fromkeys(scores["weights"]) if kind]
    rows = []
    for name, kind, series_rows in _columns(scores):
        defined = series_rows[np.isfinite(series_rows["value"])]
        count = latest(series_rows["n"])
        rows.append(
            {
                "name": name,
                "kind": kind if len(kinds) > 1 else "",
                "simulated": series_rows["simulated"].any(),
                "region": str(series_rows["region"].iloc[0]),
                "first": series_rows.iloc[0].to_dict(),
                "last": series_rows.iloc[-1].to_dict(),
                "best": defined.loc[defined["value"].idxmax()].to_dict() if len(defined) else None,
                "ceiling": latest(series_rows["ceiling"]),
                "scale": _scale(series_rows),
                "n": count if count > 0 else math.nan,
            }
        )
    scored = " and ".join(kind + (f" ({WEIGHTS[kind]})" if kind in WEIGHTS else "") for kind in kinds)
    return part("run.summary", rows=rows, scored=scored)


def evaluations(scores: pd.DataFrame, metrics: pd.DataFrame | None = None) -> Markup:
    """Render all values, one row per evaluation, folded. metrics: of the run, for the time that scoring took."""
    several = scores["weights"].nunique() > 1
    seconds, with_recording = seconds_of(scores, metrics)
    columns, values = [], []
    for name, kind, rows in _columns(scores):
        facts = [text for text in (_scale(rows), f"{kind} weights" if several else "") if text]
        columns.append({"name": name, "simulated": rows["simulated"].any(), "facts": ", ".join(facts)})
        records = rows[["value", "value_error", "failure"]].to_dict("records")
        values.append(dict(zip(rows["epoch"], records, strict=True)))
    cells = [
        {
            "epoch": epoch,
            "task_value": value,
            "seconds": f"{seconds[epoch]:,.1f}" if epoch in seconds else "-",
            "cells": [by_epoch.get(epoch) for by_epoch in values],
        }
        for epoch, value in scores.groupby("epoch")["task_value"].last().items()
    ]
    times = list(seconds.values())
    return part(
        "run.evaluations",
        metric=label(str(scores["task_metric"].iloc[-1])) or "accuracy",
        columns=columns,
        rows=cells,
        seconds=times,
        with_recording=with_recording,
    )


def times_table(times: pd.DataFrame | None, metrics: pd.DataFrame | None) -> Markup:
    """Render the last values of brain/<benchmark>/... in metrics.csv for each benchmark of solution times."""
    if times is None or metrics is None:
        return Markup()
    benchmarks = [
        {"name": str(name), "simulated": rows["simulated"].any(), "lines": lines}
        for name, rows in times.groupby("benchmark", sort=False)
        if (lines := _time_lines(f"brain/{name}/", metrics))
    ]
    return part("run.times", benchmarks=benchmarks)


def _time_lines(prefix: str, metrics: pd.DataFrame) -> list[tuple[str, str]]:
    """Return (name, value) of the logged values."""
    last = {
        column.removeprefix(prefix): float(numbers.iloc[-1])
        for column in metrics
        if column.startswith(prefix)
        and len(numbers := pd.to_numeric(metrics[column], errors="coerce").dropna())
    }
    lines = []
    if math.isfinite(last.get("low", math.nan)) and math.isfinite(last.get("high", math.nan)):
        lines.append(
            ("95 % interval of the raw score, over images", f"{last['low']:.3f} to {last['high']:.3f}")
        )
    for key, what in TIMES.items():
        if key in last:
            lines.append((what, f"{last[key]:,.1f}" if key == "images" else f"{last[key]:.3f}"))
    for key, what in (("accuracy", "accuracy"), ("dprime", "mean d'")):
        steps = sorted(
            (int(n), v) for k, v in last.items() if (n := k.removeprefix(f"{key}_step")).isdigit() and n != k
        )
        if steps:
            text = ", ".join(f"{value:.3f}" for _, value in steps)
            lines.append((f"{what} of the decoder at each distinct state in turn", text))
    return lines


def _counted(rows: pd.DataFrame, column: str) -> list[tuple[tuple[str, str, bool], int]]:
    """Return each distinct (benchmark, text, simulated) with its number of evaluations."""
    entries = zip(rows["benchmark"], rows[column], rows["simulated"], strict=True)
    return list(
        Counter((str(name), str(text).rstrip("."), bool(flag)) for name, text, flag in entries).items()
    )


def _columns(scores: pd.DataFrame) -> list[tuple[str, str, pd.DataFrame]]:
    """Return (benchmark, kind of weights, their rows)."""
    return [
        (name, str(kind), part_rows)
        for name, rows in series(scores)
        for kind, part_rows in rows.groupby("weights", sort=False)
    ]


def _scale(rows: pd.DataFrame) -> str:
    """Return the scale of the last defined value; failed evaluations have none."""
    scales = rows["scale"][np.isfinite(rows["value"])]
    return str(scales.iloc[-1]) if len(scales) else ""

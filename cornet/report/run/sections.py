"""The sections of a run's report that are made from its tables."""

import math
from collections import Counter

import numpy as np
import pandas as pd
from markupsafe import Markup

from cornet.report.render import part, simulated_banner
from cornet.report.run.data import is_simulated, latest, seconds_of, series
from cornet.report.run.plots import BrainTables

__all__ = ["banner", "evaluations", "lacking", "notes", "summary_table", "times_table"]

WEIGHTS = {
    "raw": "as the optimiser left them",
    "averaged": "a running average over training steps",
}

TIMES = {
    "untrained": "raw score before training",
    "share_solved": "share of tested images solved",
    "share_solved_first_bin": "share of tested images solved in the first time bin",
    "images": "images in a split's correlation, on average",
}


def banner(tables: BrainTables) -> Markup:
    """HTML: which benchmarks are simulated, before any number."""
    there = [table for table in (tables.scores, tables.matrix, tables.times) if table is not None]
    names = list(dict.fromkeys(str(name) for table in there for name in table["benchmark"]))
    simulated = [name for name in names if is_simulated(name, *there)]
    return simulated_banner(names, simulated, "all benchmarks on this page")


def lacking(scores: pd.DataFrame) -> Markup:
    """HTML: what failed, and what was scored but has no value, with the reasons."""
    failed = scores[scores["failure"] != ""]
    undefined = scores[(scores["failure"] == "") & ~np.isfinite(scores["value"])]
    reasons = undefined.assign(notes=undefined["notes"].replace("", "nothing was noted"))
    return part("run.lacking", failed=_counted(failed, "failure"), undefined=_counted(reasons, "notes"))


def notes(scores: pd.DataFrame) -> Markup:
    """HTML: what was noted beside scores that are there."""
    noted = scores[(scores["notes"] != "") & np.isfinite(scores["value"])]
    return part("run.notes", said=_counted(noted, "notes"))


def summary_table(scores: pd.DataFrame) -> Markup:
    """HTML: a row for each benchmark (and kind of weights, where there are several): first, last and best score."""
    kinds = [str(kind) for kind in dict.fromkeys(scores["weights"]) if kind]
    rows = []
    for name, kind, rows_of in _columns(scores):
        there = rows_of[np.isfinite(rows_of["value"])]
        count = latest(rows_of["n"])
        rows.append(
            {
                "name": name,
                "kind": kind if len(kinds) > 1 else "",
                "simulated": rows_of["simulated"].any(),
                "region": str(rows_of["region"].iloc[0]),
                "first": rows_of.iloc[0].to_dict(),
                "last": rows_of.iloc[-1].to_dict(),
                "best": there.loc[there["value"].idxmax()].to_dict() if len(there) else None,
                "ceiling": latest(rows_of["ceiling"]),
                "scale": _scale(rows_of),
                "n": count if count > 0 else math.nan,
            }
        )
    scored = " and ".join(kind + (f" ({WEIGHTS[kind]})" if kind in WEIGHTS else "") for kind in kinds)
    return part("run.summary", rows=rows, scored=scored)


def evaluations(scores: pd.DataFrame, metrics: pd.DataFrame | None = None) -> Markup:
    """HTML: all values, an evaluation a row, folded. metrics: of the run, for the time that scoring took."""
    several = scores["weights"].nunique() > 1
    seconds, whole = seconds_of(scores, metrics)
    columns, values = [], []
    for name, kind, rows_of in _columns(scores):
        facts = [text for text in (_scale(rows_of), f"{kind} weights" if several else "") if text]
        columns.append({"name": name, "simulated": rows_of["simulated"].any(), "facts": ", ".join(facts)})
        records = rows_of[["value", "value_error", "failure"]].to_dict("records")
        values.append(dict(zip(rows_of["epoch"], records, strict=True)))
    rows = [
        {
            "epoch": epoch,
            "top1": top1,
            "seconds": f"{seconds[epoch]:,.1f}" if epoch in seconds else "-",
            "cells": [by_epoch.get(epoch) for by_epoch in values],
        }
        for epoch, top1 in scores.groupby("epoch")["top1"].last().items()
    ]
    return part("run.evaluations", columns=columns, rows=rows, seconds=list(seconds.values()), whole=whole)


def times_table(times: pd.DataFrame | None, metrics: pd.DataFrame | None) -> Markup:
    """HTML: of each benchmark of solution times the last values of brain/<benchmark>/... in metrics.csv."""
    if times is None or metrics is None:
        return Markup()
    found = [
        {"name": str(name), "simulated": rows["simulated"].any(), "lines": lines}
        for name, rows in times.groupby("benchmark", sort=False)
        if (lines := _time_lines(f"brain/{name}/", metrics))
    ]
    return part("run.times", benchmarks=found)


def _time_lines(prefix: str, metrics: pd.DataFrame) -> list[tuple[str, str]]:
    """(what, value), without what was not logged."""
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
            told = ", ".join(f"{value:.3f}" for _, value in steps)
            lines.append((f"{what} of the read-out, at each different state in turn", told))
    return lines


def _counted(rows: pd.DataFrame, column: str) -> list[tuple[tuple[str, str, bool], int]]:
    """(benchmark, text, whether it is simulated), each once, with the number of evaluations."""
    said = zip(rows["benchmark"], rows[column], rows["simulated"], strict=True)
    return list(Counter((str(name), str(text).rstrip("."), bool(one)) for name, text, one in said).items())


def _columns(scores: pd.DataFrame) -> list[tuple[str, str, pd.DataFrame]]:
    """Benchmark, kind of weights, and their rows."""
    return [
        (name, str(kind), part_of)
        for name, rows in series(scores)
        for kind, part_of in rows.groupby("weights", sort=False)
    ]


def _scale(rows: pd.DataFrame) -> str:
    """Of the last value: what failed has no scale."""
    there = rows["scale"][np.isfinite(rows["value"])]
    return str(there.iloc[-1]) if len(there) else ""

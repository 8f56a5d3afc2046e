"""The tables of a report: first, last and best score of every benchmark, and every evaluation."""

import math
from html import escape
from typing import Any

import numpy as np
import pandas as pd

from cornet.report.brain_data import series
from cornet.report.brain_style import epoch_text

__all__ = ["evaluations", "summary_table"]

COLUMNS = ("benchmark", "region", "first", "last", "best", "last, raw", "ceiling", "scale", "stimuli")


def summary_table(scores: pd.DataFrame) -> str:
    """HTML: a row for each benchmark (and kind of weights, where there are several), with epochs in brackets."""
    several = scores["weights"].nunique() > 1
    lines = []
    for name, rows in series(scores):
        for kind, part in rows.groupby("weights", sort=False):
            lines.append(_row(name, str(kind) if several else "", part))
    head = "".join(f"<th scope=col>{column}</th>" for column in COLUMNS)
    return (
        f'<table class="stack"><thead><tr>{head}</tr></thead><tbody>{"".join(lines)}</tbody></table>\n'
        "<p class=small>First, last and best evaluation with a score: the value on the scale named, with its standard "
        "error, after so many epochs (0: before training). Raw is the value before the ceiling is taken "
        "into account; the ceiling is on the raw scale. The best of several noisy values is biased upwards.</p>"
    )


def evaluations(scores: pd.DataFrame) -> str:
    """HTML: all values, an evaluation a row, folded."""
    several = scores["weights"].nunique() > 1
    columns = [
        (name, str(kind), part.set_index("epoch"))
        for name, rows in series(scores)
        for kind, part in rows.groupby("weights", sort=False)
    ]
    head = "<th scope=col class=short>epoch</th><th scope=col class=short>top-1</th>"
    for name, kind, part in columns:
        facts = ", ".join(text for text in (_scale(part), f"{kind} weights" if several else "") if text)
        mark = " <span class=tag>simulated</span>" if part["simulated"].any() else ""
        head += f"<th scope=col>{escape(name)}{mark}<br><span class=small>{escape(facts)}</span></th>"
    lines = []
    for epoch, rows in scores.groupby("epoch"):
        top1 = rows["top1"].dropna()
        cells = [epoch_text(float(str(epoch))), f"{top1.iloc[-1]:.3f}" if len(top1) else "-"]
        for _, _, part in columns:
            there = epoch in part.index
            cells.append(_number(part.at[epoch, "value"], part.at[epoch, "value_error"]) if there else "")
        lines.append("<tr>" + "".join(f"<td>{cell}</td>" for cell in cells) + "</tr>")
    return (
        f"<h2>Every evaluation</h2>\n<details><summary>{len(lines)} evaluation{'s' if len(lines) > 1 else ''}</summary>"
        f'<div class="scroll" tabindex="0"><table class="many"><thead><tr>{head}</tr></thead>'
        f"<tbody>{''.join(lines)}</tbody></table></div></details>"
    )


def _row(name: str, kind: str, part: pd.DataFrame) -> str:
    there = part[np.isfinite(part["value"])]
    mark = " <span class=tag>simulated</span>" if part["simulated"].any() else ""
    weights = f" <span class=small>({escape(kind)} weights)</span>" if kind else ""
    cells = [f"<span>{escape(name)}{weights}{mark}</span>", escape(str(part["region"].iloc[0])) or "-"]
    if there.empty:
        cells += [
            "no score",
            "-",
            "-",
            "-",
            _plain(part["ceiling"].iloc[-1]),
            "-",
            _count(part["n"].iloc[-1]),
        ]
    else:
        last = there.iloc[-1]
        for one in (there.iloc[0], last, there.loc[there["value"].idxmax()]):
            number, when = _number(one["value"], one["value_error"]), epoch_text(one["epoch"])
            cells.append(f"<span class=number>{number} <span class=when>epoch {when}</span></span>")
        cells += [
            f"<span class=number>{_number(last['raw'], last['error'])}</span>",
            _plain(last["ceiling"]),
            escape(_scale(part)),
            _count(last["n"]),
        ]
    filled = zip(COLUMNS, cells, strict=True)
    return "<tr>" + "".join(f'<td data-label="{label}">{cell}</td>' for label, cell in filled) + "</tr>"


def _scale(part: pd.DataFrame) -> str:
    """Of the values that are there: what failed has none."""
    there = part["scale"][np.isfinite(part["value"])]
    return str(there.iloc[-1]) if len(there) else ""


def _number(value: Any, error: Any) -> str:
    if not math.isfinite(value):
        return "-"
    return f"{value:.3f}" + (
        f" <span class=error>&plusmn; {error:.3f}</span>" if math.isfinite(error) else ""
    )


def _plain(value: Any) -> str:
    return f"{value:.3f}" if math.isfinite(value) else "-"


def _count(value: Any) -> str:
    return f"{value:,.0f}" if math.isfinite(value) and value > 0 else "-"

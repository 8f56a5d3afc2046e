"""The tables of a report: first, last and best score of every benchmark, and every evaluation."""

import math
from html import escape
from typing import Any

import numpy as np
import pandas as pd

from cornet.report.brain_data import seconds_of, series
from cornet.report.brain_style import epoch_text

__all__ = ["evaluations", "summary_table"]

COLUMNS = ("benchmark", "region", "first", "last", "best", "last, raw", "ceiling", "scale", "stimuli")

WEIGHTS = {
    "raw": "as the optimiser left them",
    "averaged": "a running average over training steps",
}
"""What the kinds of weights are."""


def summary_table(scores: pd.DataFrame) -> str:
    """HTML: a row for each benchmark (and kind of weights, where there are several), with epochs in brackets."""
    kinds = [str(kind) for kind in dict.fromkeys(scores["weights"]) if kind]
    lines = []
    for name, rows in series(scores):
        for kind, part in rows.groupby("weights", sort=False):
            lines.append(_row(name, str(kind) if len(kinds) > 1 else "", part))
    head = "".join(f"<th scope=col>{column}</th>" for column in COLUMNS)
    scored = " and ".join(kind + (f" ({WEIGHTS[kind]})" if kind in WEIGHTS else "") for kind in kinds)
    return (
        f'<table class="stack"><thead><tr>{head}</tr></thead><tbody>{"".join(lines)}</tbody></table>\n'
        "<p class=small>First, last and best evaluation: the value on the scale named, with its standard "
        "error, after so many epochs (0: before training). Raw is the value before the ceiling is taken "
        "into account; the ceiling is on the raw scale. The best of several noisy values is biased upwards."
        + (f" Weights that were scored: {escape(scored)}." if scored else "")
        + "</p>"
    )


def evaluations(scores: pd.DataFrame, metrics: pd.DataFrame | None = None) -> str:
    """HTML: all values, an evaluation a row, folded; with what they took. metrics: of the run, which tell that."""
    several = scores["weights"].nunique() > 1
    columns = [
        (name, str(kind), part)
        for name, rows in series(scores)
        for kind, part in rows.groupby("weights", sort=False)
    ]
    seconds, whole = seconds_of(scores, metrics)
    head = "".join(f"<th scope=col class=short>{one}</th>" for one in ("epoch", "top-1", "seconds"))
    for name, kind, part in columns:
        facts = ", ".join(text for text in (_scale(part), f"{kind} weights" if several else "") if text)
        mark = " <span class=tag>simulated</span>" if part["simulated"].any() else ""
        head += f"<th scope=col>{escape(name)}{mark}<br><span class=small>{escape(facts)}</span></th>"
    values = [
        dict(
            zip(
                part["epoch"],
                map(_value, part[["value", "value_error", "failure"]].to_dict("records")),
                strict=True,
            )
        )
        for _, _, part in columns
    ]
    lines = []
    for epoch, top1 in scores.groupby("epoch")["top1"].last().items():
        cells = [
            epoch_text(epoch),
            "-" if np.isnan(top1) else f"{top1:.3f}",
            f"{seconds[epoch]:,.1f}" if epoch in seconds else "-",
        ]
        cells += [by_epoch.get(epoch, "") for by_epoch in values]
        lines.append("<tr>" + "".join(f"<td>{cell}</td>" for cell in cells) + "</tr>")
    return (
        f"<h2>Every evaluation</h2>\n{_time_taken(list(seconds.values()), whole)}"
        f"<details><summary>{len(lines)} evaluation{'s' if len(lines) > 1 else ''}</summary>"
        f'<div class="scroll" tabindex="0"><table class="many"><thead><tr>{head}</tr></thead>'
        f"<tbody>{''.join(lines)}</tbody></table></div></details>"
    )


def _time_taken(seconds: list[float], whole: bool) -> str:
    if not seconds:
        return ""
    what = "with the recording of the network" if whole else "for comparing alone, without the recording"
    several = f"; one took {np.median(seconds):,.1f} s (median)" if len(seconds) > 1 else ""
    return f"<p class=small>Scoring took {sum(seconds):,.1f} s in all, {what}{several}.</p>\n"


def _row(name: str, kind: str, part: pd.DataFrame) -> str:
    there = part[np.isfinite(part["value"])]
    mark = " <span class=tag>simulated</span>" if part["simulated"].any() else ""
    weights = f" <span class=small>({escape(kind)} weights)</span>" if kind else ""
    last = part.iloc[-1]
    breakable = escape(name).replace("_", "_<wbr>")
    cells = [f"<span>{breakable}{weights}{mark}</span>", escape(str(part["region"].iloc[0])) or "-"]
    cells += [_when(part.iloc[0]), _when(last)]
    cells += [_when(there.loc[there["value"].idxmax()]) if len(there) else "-"]
    cells += [
        f"<span class=number>{_number(last['raw'], last['error'])}</span>",
        _plain(_latest(part["ceiling"])),
        escape(_scale(part)) or "-",
        _count(_latest(part["n"])),
    ]
    filled = zip(COLUMNS, cells, strict=True)
    return "<tr>" + "".join(f'<td data-label="{label}">{cell}</td>' for label, cell in filled) + "</tr>"


def _when(one: Any) -> str:
    """A value and its epoch."""
    return f"<span class=number>{_value(one)} <span class=when>epoch {epoch_text(one['epoch'])}</span></span>"


def _value(one: Any) -> str:
    if not math.isfinite(one["value"]):
        return "<span class=none>failed</span>" if one["failure"] else "<span class=none>undefined</span>"
    return _number(one["value"], one["value_error"])


def _latest(numbers: pd.Series) -> float:
    there = numbers[np.isfinite(numbers)]
    return float(there.iloc[-1]) if len(there) else math.nan


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

"""What a report says in words beside its numbers: what is simulated, what was not scored, what was noted."""

from collections.abc import Iterable
from html import escape
from typing import Any

import numpy as np
import pandas as pd

from cornet.report.brain_data import is_simulated
from cornet.report.brain_plots import BrainTables

__all__ = ["banner", "lacking", "notes"]


def banner(tables: BrainTables) -> str:
    """HTML: which benchmarks are simulated, before any number; "" where none is."""
    there = [table for table in (tables.scores, tables.matrix, tables.times) if table is not None]
    names = list(dict.fromkeys(str(name) for table in there for name in table["benchmark"]))
    simulated = [name for name in names if is_simulated(name, *there)]
    if not simulated:
        return ""
    what = "all benchmarks on this page" if len(simulated) == len(names) else escape(", ".join(simulated))
    return (
        f'<div class="banner" role="note"><p><strong>Simulated:</strong> {what}. No brain was recorded for '
        "these; they check that the pipeline works, and say nothing about brains.</p></div>"
    )


def lacking(scores: pd.DataFrame) -> str:
    """HTML: what failed, and what was scored but has no value, with the reasons; "" where neither is."""
    failed = scores[scores["failure"] != ""]
    undefined = scores[(scores["failure"] == "") & ~np.isfinite(scores["value"])]
    parts = []
    if len(failed):
        told = _counted((row.benchmark, row.failure, row.simulated) for row in failed.itertuples())
        parts.append(f"<p><strong>Failed:</strong> no score could be computed.</p>{told}")
    if len(undefined):
        reasons = ((r.benchmark, r.notes or "nothing was noted", r.simulated) for r in undefined.itertuples())
        parts.append(
            "<p><strong>Undefined:</strong> the comparison was made and gave no number, which is not a score of zero."
            f"</p>{_counted(reasons)}"
        )
    if not parts:
        return ""
    return f'<div class="banner failure" role="note">{"".join(parts)}</div>'


def notes(scores: pd.DataFrame) -> str:
    """HTML: what was noted beside scores that are there."""
    noted = scores[(scores["notes"] != "") & np.isfinite(scores["value"])]
    if noted.empty:
        return ""
    return f"<h2>Notes</h2>\n{_counted((r.benchmark, r.notes, r.simulated) for r in noted.itertuples())}"


def _counted(said: Iterable[tuple[Any, Any, Any]]) -> str:
    """Each text once, with how many evaluations it belongs to."""
    counts: dict[tuple[str, str, bool], int] = {}
    for benchmark, text, simulated in said:
        key = (str(benchmark), str(text).rstrip("."), bool(simulated))
        counts[key] = counts.get(key, 0) + 1
    items = [
        f"<li><strong>{escape(benchmark)}</strong>{' <span class=tag>simulated</span>' if simulated else ''}: "
        f"{escape(text)} <span class=small>({count} evaluation{'s' if count > 1 else ''})</span></li>"
        for (benchmark, text, simulated), count in counts.items()
    ]
    return f"<ul>{''.join(items)}</ul>"

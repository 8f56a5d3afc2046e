"""What solution times rest on, as a table of a report: interval, images, the untrained start, each step's accuracy."""

import math
from html import escape

import pandas as pd

__all__ = ["times_table"]

FACTS = {
    "untrained": "raw score before training",
    "share_solved": "share of tested images solved",
    "share_solved_first_bin": "share of tested images solved in the first time bin",
    "images": "images in a split's correlation, on average",
}


def times_table(times: pd.DataFrame | None, metrics: pd.DataFrame | None) -> str:
    """HTML: of each benchmark of solution times what metrics.csv tells last (brain/<benchmark>/...); "" for nothing."""
    if times is None or metrics is None:
        return ""
    parts = []
    for name, rows in times.groupby("benchmark", sort=False):
        lines = _lines(f"brain/{name}/", metrics)
        if lines:
            tag = " <span class=tag>simulated</span>" if rows["simulated"].any() else ""
            cells = "".join(f"<tr><th scope=row>{what}</th><td>{value}</td></tr>" for what, value in lines)
            parts.append(
                f"<p><strong>{escape(str(name))}</strong>{tag}</p>"
                f'<div class="scroll"><table class="words">{cells}</table></div>'
            )
    return "\n".join(parts)


def _lines(prefix: str, metrics: pd.DataFrame) -> list[tuple[str, str]]:
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
    for key, what in FACTS.items():
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

"""What all plots of brain scores share: fonts, colours, short names, saving."""

import io
import re
import textwrap
import warnings
from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Any, Literal

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

__all__ = [
    "epoch_axis",
    "epoch_text",
    "grid",
    "gridlines",
    "headline",
    "message",
    "panel_title",
    "png",
    "region_colour",
    "style",
    "wrapped",
]

COLOURS = {
    "V1": "#b07d2b",
    "V2": "#3c8d53",
    "V4": "#1b6ca8",
    "IT": "#d1495b",
    "behaviour": "#6b4c9a",
}
OTHER = "#4d4d4d"
PANEL = (3.0, 2.45)
"""Width and height of a panel in inches."""


def style() -> AbstractContextManager[Any]:
    """The house's look; names are shown as they are, a $ in one starts no formula."""
    return matplotlib.rc_context(
        {
            "font.size": 9,
            "axes.spines.top": False,
            "axes.spines.right": False,
            "text.parse_math": False,
            "axes.formatter.use_mathtext": False,
        }
    )


def region_colour(region: str) -> str:
    return COLOURS.get(region, OTHER)


def grid(panels: int, columns: int, size: tuple[float, float] = PANEL) -> tuple[Figure, list[Axes]]:
    """A figure with `panels` panels; unused places stay empty."""
    across = max(1, min(columns, panels))
    rows = -(-panels // across)
    figure = Figure(figsize=(size[0] * across, size[1] * rows + 0.6), layout="constrained", dpi=150)
    axes = list(figure.subplots(rows, across, squeeze=False).ravel())
    for empty in axes[panels:]:
        empty.set_axis_off()
    return figure, axes[:panels]


def headline(figure: Figure, text: str, simulated: Sequence[bool]) -> None:
    """The figure's title, which says what of it is simulated."""
    if simulated and all(simulated):
        text += " (simulated: no brain was recorded)"
    elif any(simulated):
        text += " (some simulated, and marked so)"
    width = max(20, round(figure.get_figwidth() * 11))
    figure.suptitle(textwrap.fill(text, width), x=0.01, ha="left", fontsize=10, fontweight="bold")


def gridlines(axes: Axes, size: float = 8, along: Literal["both", "x", "y"] = "both") -> None:
    """Faint lines below all that is drawn, and the labels of ticks in a size."""
    axes.grid(axis=along, color="0.92" if along == "y" else "0.93", lw=0.6)
    axes.set_axisbelow(True)
    axes.tick_params(labelsize=size)


def epoch_axis(axes: Axes, last: float, before: float, after: float) -> None:
    """From 0 to the last epoch, with margins as shares of it; for 0 alone one tick."""
    if last <= 0:
        axes.set(xlim=(-0.5, 0.5), xticks=[0])
        return
    axes.set_xlim(-before * last, (1 + after) * last)
    axes.xaxis.set_major_locator(MaxNLocator(6, integer=last >= 2))


def panel_title(axes: Axes, name: str, facts: Sequence[str], colour: str) -> None:
    """The name, and below it those of the facts that are not empty."""
    told = ", ".join(filter(None, facts))
    axes.set_title(wrapped(name) + (f"\n({told})" if told else ""), fontsize=8.5, loc="left", color=colour)


def message(axes: Axes, text: str) -> None:
    """A panel that has nothing to show says why."""
    axes.set(xticks=[], yticks=[])
    for spine in axes.spines.values():
        spine.set_visible(False)
    axes.set_facecolor("0.96")
    place: dict[str, Any] = {"ha": "center", "va": "center", "transform": axes.transAxes}
    axes.text(0.5, 0.5, wrapped(text, 33, 7), color="0.3", fontsize=8, **place)


def wrapped(text: str, width: int = 31, lines: int = 2) -> str:
    """The text in at most `lines` lines, broken after spaces and . - _ / : where it can be; the middle gives way."""
    text = " ".join(text.split())
    found, keep = _broken(text, width), width * lines
    while len(found) > lines and keep > 3:
        keep -= 1
        shorter = f"{text[: keep - keep // 3].rstrip()} ... {text[len(text) - keep // 3 :].lstrip()}"
        found = _broken(shorter, width)
    return "\n".join(found[:lines])


def epoch_text(epoch: float) -> str:
    return f"{epoch:.2f}".rstrip("0").rstrip(".")


def png(figure: Figure) -> bytes:
    """The picture, 150 dots an inch. Signs that the font lacks are drawn as boxes, without a warning."""
    content = io.BytesIO()
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from")
        figure.savefig(content, format="png", dpi=150)
    return content.getvalue()


def _cut(word: str, width: int) -> list[str]:
    return [word[k : k + width] for k in range(0, len(word), width)]


def _broken(text: str, width: int) -> list[str]:
    pieces = [
        piece for word in re.split(r"(?<= )|(?<=[_/:-])|(?<=[.])(?=\w)", text) for piece in _cut(word, width)
    ]
    found = [""]
    for piece in pieces:
        if len((found[-1] + piece).rstrip()) > width:
            found.append("")
        found[-1] += piece
    return [line.rstrip() for line in found]

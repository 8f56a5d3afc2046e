"""Fonts, colours, titles and saving, shared by all plots of brain scores."""

import io
import re
import textwrap
import warnings
import zlib
from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager
from typing import Any, Literal

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from cornet.brain.regions import BEHAVIOUR, REGIONS

__all__ = [
    "epoch_axis",
    "epoch_text",
    "grid",
    "gridlines",
    "headline",
    "message",
    "panel_title",
    "png",
    "region_colours",
    "style",
    "wrapped",
]

COLOURS = dict(
    zip((*REGIONS, BEHAVIOUR), ("#b07d2b", "#3c8d53", "#1b6ca8", "#d1495b", "#6b4c9a"), strict=True)
)
"""From V1 to IT, and of behaviour."""
MORE_COLOURS = (
    *("#0f9fb0", "#d664a8", "#8a8f1c", "#7a3b1d"),
    *("#5b7fd9", "#e08a4a", "#2f4858", "#94c24b"),
)
"""Of all other regions."""
OTHER = "#4d4d4d"
"""Of values that belong to no region."""
PANEL = (3.0, 2.45)
"""Width and height of a panel in inches."""


def style() -> AbstractContextManager[Any]:
    """Return a context with the common style. Text is shown literally: $ does not start a formula."""
    return matplotlib.rc_context(
        {
            "font.size": 9,
            "axes.spines.top": False,
            "axes.spines.right": False,
            "text.parse_math": False,
            "axes.formatter.use_mathtext": False,
        }
    )


def region_colours(regions: Iterable[str]) -> dict[str, str]:
    """Return a colour for each region of a figure or page, distinct for up to eight regions beside the known ones.

    The colour of another region follows from its name, so it is the same on all pages, unless two names of a page ask
    for the same one: the later name in the alphabet then takes the next free colour.
    """
    chosen = {region: COLOURS.get(region, OTHER) for region in regions}
    taken: set[str] = set()
    for region in sorted(name for name in chosen if name and name not in COLOURS):
        start = zlib.crc32(region.encode()) % len(MORE_COLOURS)
        wanted = MORE_COLOURS[start:] + MORE_COLOURS[:start]
        chosen[region] = next((colour for colour in wanted if colour not in taken), wanted[0])
        taken.add(chosen[region])
    return chosen


def grid(panels: int, columns: int, size: tuple[float, float] = PANEL) -> tuple[Figure, list[Axes]]:
    """Make a figure with a grid of `panels` panels. Unused cells stay empty. size: of a panel in inches."""
    across = max(1, min(columns, panels))
    rows = -(-panels // across)
    figure = Figure(figsize=(size[0] * across, size[1] * rows + 0.6), layout="constrained", dpi=150)
    axes = list(figure.subplots(rows, across, squeeze=False).ravel())
    for empty in axes[panels:]:
        empty.set_axis_off()
    return figure, axes[:panels]


def headline(figure: Figure, text: str, simulated: Sequence[bool]) -> None:
    """Write the figure's title, which says whether all or some panels are simulated."""
    if simulated and all(simulated):
        text += " (simulated: no brain was recorded)"
    elif any(simulated):
        text += " (some are simulated and marked)"
    width = max(20, round(figure.get_figwidth() * 11))
    figure.suptitle(textwrap.fill(text, width), x=0.01, ha="left", fontsize=10, fontweight="bold")


def gridlines(axes: Axes, size: float = 8, along: Literal["both", "x", "y"] = "both") -> None:
    """Draw faint grid lines behind the data, and set the font size of tick labels."""
    axes.grid(axis=along, color="0.92" if along == "y" else "0.93", lw=0.6)
    axes.set_axisbelow(True)
    axes.tick_params(labelsize=size)


def epoch_axis(axes: Axes, last: float, before: float, after: float) -> None:
    """Set the x axis from 0 to the last epoch. before, after: margins as fractions of `last`."""
    if last <= 0:
        axes.set(xlim=(-0.5, 0.5), xticks=[0])
        return
    axes.set_xlim(-before * last, (1 + after) * last)
    axes.xaxis.set_major_locator(MaxNLocator(6, integer=last >= 2))


def panel_title(axes: Axes, name: str, facts: Sequence[str], colour: str) -> None:
    """Write the name as the panel's title and the facts that are not empty below it."""
    text = ", ".join(filter(None, facts))
    axes.set_title(wrapped(name) + (f"\n({text})" if text else ""), fontsize=8.5, loc="left", color=colour)


def message(axes: Axes, text: str) -> None:
    """Write a message in a panel without data."""
    axes.set(xticks=[], yticks=[])
    for spine in axes.spines.values():
        spine.set_visible(False)
    axes.set_facecolor("0.96")
    place: dict[str, Any] = {"ha": "center", "va": "center", "transform": axes.transAxes}
    axes.text(0.5, 0.5, wrapped(text, 33, 7), color="0.3", fontsize=8, **place)


def wrapped(text: str, width: int = 31, lines: int = 2) -> str:
    """Wrap text to at most `lines` lines after spaces and . - _ / : if possible. Too long text loses its middle."""
    text = " ".join(text.split())
    broken, length = _broken(text, width), width * lines
    while len(broken) > lines and length > 3:
        length -= 1
        shorter = f"{text[: length - length // 3].rstrip()} ... {text[len(text) - length // 3 :].lstrip()}"
        broken = _broken(shorter, width)
    return "\n".join(broken[:lines])


def epoch_text(epoch: float) -> str:
    return f"{epoch:.2f}".rstrip("0").rstrip(".")


def png(figure: Figure) -> bytes:
    """Return the figure as a PNG with 150 dots per inch. Characters missing in the font become boxes silently."""
    content = io.BytesIO()
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from")
        figure.savefig(content, format="png", dpi=150)
    return content.getvalue()


def _broken(text: str, width: int) -> list[str]:
    words = re.split(r"(?<= )|(?<=[_/:-])|(?<=[.])(?=\w)", text)
    pieces = [word[k : k + width] for word in words for k in range(0, len(word), width)]
    lines = [""]
    for piece in pieces:
        if len((lines[-1] + piece).rstrip()) > width:
            lines.append("")
        lines[-1] += piece
    return [line.rstrip() for line in lines]

"""Draw the read-out over steps, and the one picture of `cornet look`."""

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from cornet.report.drawings import drawing
from cornet.report.look.inside import Filters, Inside, ReadOut
from cornet.report.look.pictures import coloured, filter_sheet, filter_tile, overlay, scale_of
from cornet.report.style import gridlines, png, style, wrapped

__all__ = ["draw_picture", "draw_read_out", "step_label", "top_classes"]

TOP = 5
CELL = 1.65
"""Width and height of a map with its title and space, in inches."""
MARGIN = 0.3
COLOURS = ("#1b6ca8", "#d1495b", "#3c8d53", "#b07d2b", "#6b4c9a")


def top_classes(read: ReadOut, most: int = TOP) -> list[int]:
    """The classes that are most probable at the last step, and the chosen one."""
    best = [int(k) for k in np.argsort(-read.probabilities[-1], kind="stable")[:most]]
    return best if read.chosen in best else [*best[: most - 1], read.chosen]


def step_label(step: int, times: tuple[float, float] | None) -> str:
    """A step, with its time in ms after the image appeared where it is known."""
    return f"step {step}" if times is None else f"step {step}, {times[0]:g}-{times[1]:g} ms"


def draw_read_out(read: ReadOut, key: str) -> str:
    """Return an <svg> of the most probable classes over steps; bars if there is only one step."""
    names: dict[str, list[str]] = {}
    with style():
        figure = Figure(figsize=(5.2, 3.2), layout="constrained")
        axes = figure.subplots()
        for rank, number in enumerate(top_classes(read)):
            label = read.classes[number]
            gid = f"{key}-{rank}"
            if len(read.steps) > 1:
                axes.scatter(
                    read.steps,
                    read.probabilities[:, number],
                    s=24,
                    color=COLOURS[rank],
                    lw=0,
                    zorder=4,
                    gid=gid,
                )
                names[gid] = [
                    f"{label}, {step_label(step, times)}: {value:.3f}"
                    for step, times, value in zip(
                        read.steps, read.times, read.probabilities[:, number], strict=True
                    )
                ]
        _fill_read_out(axes, read)
        return drawing(figure, key, names, "Probability of the most probable classes at each step")


def _fill_read_out(axes: Axes, read: ReadOut) -> None:
    shown = top_classes(read)
    if len(read.steps) == 1:
        axes.barh(range(len(shown)), read.probabilities[0, shown], color=COLOURS[: len(shown)], height=0.6)
        axes.set_yticks(range(len(shown)), [wrapped(read.classes[k], 22, 1) for k in shown])
        axes.set_ylim(len(shown) - 0.5, -0.5)
        axes.set_xlim(0, 1.02 * min(1.0, 1.25 * float(read.probabilities[0, shown].max())))
        axes.set_xlabel("probability", fontsize=10)
        gridlines(axes, 9, "x")
        return
    for rank, number in enumerate(shown):
        label = wrapped(read.classes[number], 26, 1)
        axes.plot(read.steps, read.probabilities[:, number], color=COLOURS[rank], lw=1.6, label=label)
    ticks = [
        str(step) if times is None else f"{step}\n{times[0]:g}-{times[1]:g}"
        for step, times in zip(read.steps, read.times, strict=True)
    ]
    axes.set_xticks(read.steps, ticks)
    axes.set_xlim(read.steps[0] - 0.2, read.steps[-1] + 0.2)
    most = min(1.0, 1.25 * float(read.probabilities[:, shown].max()))
    axes.set_ylim(-0.02 * most, 1.02 * most)
    axes.set_xlabel("step" if None in read.times else "step, ms", fontsize=10)
    axes.set_ylabel("probability", fontsize=10)
    gridlines(axes, 9)
    axes.legend(frameon=False, fontsize=8, loc="center left", bbox_to_anchor=(1.0, 0.5))


def draw_picture(filters: Filters | None, inside: Inside, title: str) -> bytes:
    """Return a PNG with everything: image, filters, mean maps of areas over steps, saliency and read-out over steps.

    Places are given in inches from the upper left corner, since matplotlib's own layout of so many axes takes seconds.
    """
    read = inside.read
    columns = max([4, *(one.steps for one in inside.areas), 0 if read is None else len(read.steps)])
    cells = places(inside, columns)
    rows = 1 + max((row for row, _, _, _ in cells), default=-1)
    width = columns * CELL + 2 * MARGIN
    top = 2.5 + MARGIN
    height = top + rows * (CELL + 0.1) + (0 if read is None else 2.9) + MARGIN
    with style():
        figure = Figure(figsize=(width, height), dpi=110)
        figure.text(MARGIN / width, 1 - 0.22 / height, wrapped(title, 70, 1), fontsize=10, fontweight="bold")

        def axes_at(left: float, above: float, wide: float, high: float) -> Axes:
            return figure.add_axes(
                (left / width, 1 - (above + high) / height, wide / width, high / height), anchor="NW"
            )

        label = f" ({inside.label})" if inside.label else ""
        _picture(axes_at(MARGIN, 0.75, 1.7, 1.7), inside.pixels, inside.name + label)
        if filters is not None:
            sheet = filter_sheet([filter_tile(one) for one in filters.values], 16)
            wide = width - 3 * MARGIN - 1.7
            _picture(axes_at(2 * MARGIN + 1.7, 0.75, wide, 1.7), sheet, f"filters of {filters.name}")
        for row, column, name, pixels in cells:
            above = top + 0.35 + row * (CELL + 0.1)
            axes = axes_at(MARGIN + column * CELL, above, CELL - 0.35, CELL - 0.35)
            if pixels is None:
                _empty(axes, f"{name}: before the image")
            else:
                _picture(axes, pixels, name)
        if read is not None:
            left = MARGIN + (1.3 if len(read.steps) == 1 else 0.55)
            above = top + 0.35 + rows * (CELL + 0.1)
            _fill_read_out(axes_at(left, above, width - left - 2.0, 2.1), read)
    return png(figure)


def places(inside: Inside, columns: int) -> list[tuple[int, int, str, Any]]:
    """Row, column, title and pixels of each map: a row for each area, a column for each step; None for no pixels.

    If there is one step only, the areas follow each other in all columns.
    """
    found: list[tuple[int, int, str, Any]] = []
    read = inside.read
    if all(one.steps == 1 for one in inside.areas) and (read is None or len(read.steps) == 1):
        tiles = [
            (one.name, coloured(one.mean[0], scale_of(one.mean)))
            for one in inside.areas
            if one.mean[0] is not None
        ]
        if read is not None:
            tiles.append(
                (f"saliency of {read.classes[read.chosen]}", overlay(inside.pixels, read.saliency[0]))
            )
        return [(k // columns, k % columns, name, pixels) for k, (name, pixels) in enumerate(tiles)]
    for row, area in enumerate(inside.areas):
        ends = scale_of(area.mean)
        for step, values in enumerate(area.mean):
            pixels = None if values is None else coloured(values, ends)
            found.append((row, step, f"{area.name}, {step_label(step, area.times[step])}", pixels))
    if read is not None:
        for place, (step, values) in enumerate(zip(read.steps, read.saliency, strict=True)):
            name = f"saliency of {read.classes[read.chosen]}, step {step}"
            at = step if step < columns else place
            found.append((len(inside.areas), at, name, overlay(inside.pixels, values)))
    return found


def _empty(axes: Axes, title: str) -> None:
    axes.set(xticks=[], yticks=[], facecolor="0.96")
    for spine in axes.spines.values():
        spine.set_visible(False)
    axes.set_title(wrapped(title, 26, 2), fontsize=7, loc="left", color="0.5")


def _picture(axes: Axes, pixels: Any, title: str) -> None:
    axes.set_axis_off()
    axes.imshow(pixels, interpolation="nearest")
    axes.set_title(wrapped(title, 26, 2), fontsize=7, loc="left")

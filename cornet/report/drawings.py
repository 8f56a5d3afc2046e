"""Convert a figure to an inline SVG with text as text, point names as tooltips, and labels beside points."""

import io
import re
import warnings
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple
from xml.etree import ElementTree

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

__all__ = ["Label", "drawing", "write_labels"]

MARKS = ("use", "path")
_LINK = re.compile(r"#([\w.-]+)")


def drawing(figure: Figure, key: str, names: Mapping[str, Sequence[str]], label: str) -> str:
    """Return the figure as a self-contained <svg> that fills the width of its parent.

    key: prefix of its element ids, unique in the page. names: {gid of an artist: a name for each of its points},
    shown by browsers as tooltips. label: text for screen readers.
    """
    root = ElementTree.fromstring(_svg(figure, key))
    _remove_namespaces(root)
    for group in list(root.iter("g")):
        titles = names.get(group.get("id", ""))
        if titles is not None:
            _add_titles(group, titles)
    for parent in list(root.iter()):
        for child in list(parent):
            if child.tag in ("metadata", "style"):
                parent.remove(child)
    _prefix_ids(root, key)
    for name in ("width", "height", "version"):
        root.attrib.pop(name, None)
    root.set("class", "plot")
    root.set("role", "img")
    root.set("aria-label", label)
    return ElementTree.tostring(root, encoding="unicode")


def _svg(figure: Figure, key: str) -> str:
    content = io.StringIO()
    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": key}), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from")
        figure.savefig(content, format="svg", metadata={"Date": None})
    return content.getvalue()


def _remove_namespaces(root: ElementTree.Element) -> None:
    """Remove XML namespaces, which HTML does not need."""
    for element in root.iter():
        element.tag = element.tag.rpartition("}")[2]
        element.attrib = {name.rpartition("}")[2]: value for name, value in element.attrib.items()}


def _add_titles(group: ElementTree.Element, titles: Sequence[str]) -> None:
    """Add a title to each mark of a group, in order."""
    inside = {id(element) for defs in group.iter("defs") for element in defs.iter()}
    marks = [element for element in group.iter() if element.tag in MARKS and id(element) not in inside]
    if len(marks) != len(titles):
        raise AssertionError(f"{len(marks)} marks and {len(titles)} names")
    group.set("class", "points")
    for mark, text in zip(marks, titles, strict=True):
        title = ElementTree.Element("title")
        title.text = text
        mark.insert(0, title)


def _prefix_ids(root: ElementTree.Element, key: str) -> None:
    """Remove ids without references and prefix the others, because a page has several drawings."""
    links = {link for one in root.iter() for value in one.attrib.values() for link in _LINK.findall(value)}
    for element in root.iter():
        for name, value in list(element.attrib.items()):
            if name == "id":
                if value in links:
                    element.set("id", f"{key}-{value}")
                else:
                    del element.attrib["id"]
            elif name == "href" or "url(#" in value:
                element.set(name, _LINK.sub(rf"#{key}-\1", value))


LETTER, LINE = 0.6, 1.25
"""Estimated width and height of a letter, as multiples of the font size; the width is rather too large."""

WORD, NAMED, OUTSIDE, POINT, FAR = 1000.0, 20.0, 1000.0, 1.0, 0.1
"""Costs of a label's position: overlapping a label, covering a labelled point, leaving the axes, covering another
point, and each typographic point of distance from its own point."""


class Label(NamedTuple):
    """A text and the data coordinates of its point."""

    x: float
    y: float
    text: str
    colour: str


class Box(NamedTuple):
    """A rectangle in typographic points from the lower left corner of the axes."""

    left: float
    bottom: float
    right: float
    top: float


def write_labels(
    axes: Axes, labels: Sequence[Label], size: float = 10, share: tuple[float, float] = (0.82, 0.8)
) -> None:
    """Write each label beside its point, with a connecting line if it has to move away from it.

    size: font size. share: approximate fraction of the figure's width and height that the axes have. The widths of
    labels are estimated, not measured.
    """
    figure = axes.get_figure()
    if not labels or figure is None:
        return
    axes.get_xlim(), axes.get_ylim()  # compute the limits now; matplotlib would do it while drawing
    extent = np.array(figure.get_size_inches()) * 72 * share  # type: ignore[union-attr]
    points = [np.asarray(one.get_offsets(), float).reshape(-1, 2) for one in axes.collections]
    others = _to_points(axes, np.concatenate([*points, np.empty((0, 2))]), extent)
    labelled = _to_points(axes, np.array([(label.x, label.y) for label in labels]), extent)
    occupied: list[Box] = []
    for index, label in enumerate(labels):
        x, y = labelled[index]
        rest = np.delete(labelled, index, axis=0)
        _, height, left, box = min(
            (_cost(box, occupied, rest, others, extent) + FAR * abs(moved), moved, left, box)
            for moved, left, box in _boxes(x, y, label.text, size)
        )
        occupied.append(box)
        look: dict[str, Any] = {"fontsize": size, "color": label.colour, "zorder": 6}
        look |= {"textcoords": "offset points", "ha": "right" if left else "left", "va": "center"}
        if abs(height) > size:
            look["arrowprops"] = {"arrowstyle": "-", "color": label.colour, "lw": 0.7}
        moved = (box.right if left else box.left) - x, height
        axes.annotate(label.text, (label.x, label.y), moved, **look).set_in_layout(False)


def _boxes(x: float, y: float, text: str, size: float) -> Iterator[tuple[float, bool, Box]]:
    """Yield positions of a label (vertical offset, left of its point, box), from near to far."""
    width, half = LETTER * size * len(text), LINE * size / 2
    for step in range(30):
        for moved in {0.6 * size * step, -0.6 * size * step}:
            for left in (False, True):
                gap = 7.0 if abs(moved) < 2.5 * size else 14.0
                start = x - gap - width if left else x + gap
                yield moved, left, Box(start, y + moved - half, start + width, y + moved + half)


def _cost(
    box: Box, occupied: Sequence[Box], labelled: NDArray[Any], others: NDArray[Any], extent: NDArray[Any]
) -> float:
    cost = POINT * _inside(box, others) + NAMED * min(_inside(box, labelled, 5), 3)
    cost += WORD * sum(
        box.left < one.right and one.left < box.right and box.bottom < one.top and one.bottom < box.top
        for one in occupied
    )
    out = box.left < 0 or box.bottom < 0 or box.right > extent[0] + 4 or box.top > extent[1] + 4
    return cost + OUTSIDE * out


def _inside(box: Box, points: NDArray[Any], margin: float = 2) -> int:
    x, y = points[:, 0], points[:, 1]
    across = (x > box.left - margin) & (x < box.right + margin)
    return int((across & (y > box.bottom - margin) & (y < box.top + margin)).sum())


def _to_points(axes: Axes, points: NDArray[Any], extent: NDArray[Any]) -> NDArray[Any]:
    """Convert data coordinates to typographic points from the lower left corner of the axes."""
    if not len(points):
        return np.empty((0, 2))
    return np.asarray((axes.transData + axes.transAxes.inverted()).transform(points)) * extent

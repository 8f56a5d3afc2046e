"""From a figure to a drawing inside a page: text stays text, points are named under the mouse or beside them."""

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
    """HTML: the figure as an <svg> that holds all it needs, as wide as the place it gets.

    key: tells its inner names from those of the page's other drawings. names: by an artist's gid, what each of its
    points is called; a browser shows it while the mouse is over the point. label: its text for screen readers.
    """
    root = ElementTree.fromstring(_svg(figure, key))
    _plain(root)
    for group in list(root.iter("g")):
        told = names.get(group.get("id", ""))
        if told is not None:
            _name(group, told)
    for parent in list(root.iter()):
        for child in list(parent):
            if child.tag in ("metadata", "style"):
                parent.remove(child)
    _tidy(root, key)
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


def _plain(root: ElementTree.Element) -> None:
    """Names without their namespaces, which HTML knows by itself."""
    for element in root.iter():
        element.tag = element.tag.rpartition("}")[2]
        element.attrib = {name.rpartition("}")[2]: value for name, value in element.attrib.items()}


def _name(group: ElementTree.Element, told: Sequence[str]) -> None:
    """A title for each mark of a group, in their order."""
    inside = {id(one) for defined in group.iter("defs") for one in defined.iter()}
    marks = [one for one in group.iter() if one.tag in MARKS and id(one) not in inside]
    if len(marks) != len(told):
        raise AssertionError(f"{len(marks)} marks and {len(told)} names")
    group.set("class", "points")
    for mark, name in zip(marks, told, strict=True):
        title = ElementTree.Element("title")
        title.text = name
        mark.insert(0, title)


def _tidy(root: ElementTree.Element, key: str) -> None:
    """Only names that something refers to stay, and those are the drawing's own: a page has several drawings."""
    links = {found for one in root.iter() for value in one.attrib.values() for found in _LINK.findall(value)}
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
"""Width and height of a letter, in units of its size; on the wide side."""

WORD, NAMED, OUTSIDE, POINT, FAR = 1000.0, 20.0, 1000.0, 1.0, 0.1
"""What it costs to hide a word, a named point, to leave the axes, to hide another point, and to go a typographic point
away from one's own."""


class Label(NamedTuple):
    """A word at a point of the data's coordinates."""

    x: float
    y: float
    text: str
    colour: str


class Box(NamedTuple):
    """In typographic points from the lower left of the axes."""

    left: float
    bottom: float
    right: float
    top: float


def write_labels(
    axes: Axes, labels: Sequence[Label], size: float = 10, share: tuple[float, float] = (0.82, 0.8)
) -> None:
    """Write each word beside its point, joined to it by a line where it has to go away.

    share: about what part of the figure the axes have; how long words are is estimated, not measured.
    """
    figure = axes.get_figure()
    if not labels or figure is None:
        return
    axes.get_xlim(), axes.get_ylim()  # now, and not when it is drawn, is the place of the data known
    room = np.array(figure.get_size_inches()) * 72 * share  # type: ignore[union-attr]
    points = [np.asarray(one.get_offsets(), float).reshape(-1, 2) for one in axes.collections]
    others = _at(axes, np.concatenate([*points, np.empty((0, 2))]), room)
    named = _at(axes, np.array([(one.x, one.y) for one in labels]), room)
    taken: list[Box] = []
    for place, one in enumerate(labels):
        x, y = named[place]
        rest = np.delete(named, place, axis=0)
        _, height, left, box = min(
            (_cost(box, taken, rest, others, room) + FAR * abs(moved), moved, left, box)
            for moved, left, box in _boxes(x, y, one.text, size)
        )
        taken.append(box)
        look: dict[str, Any] = {"fontsize": size, "color": one.colour, "zorder": 6}
        look |= {"textcoords": "offset points", "ha": "right" if left else "left", "va": "center"}
        if abs(height) > size:
            look["arrowprops"] = {"arrowstyle": "-", "color": one.colour, "lw": 0.7}
        moved = (box.right if left else box.left) - x, height
        axes.annotate(one.text, (one.x, one.y), moved, **look).set_in_layout(False)


def _boxes(x: float, y: float, text: str, size: float) -> Iterator[tuple[float, bool, Box]]:
    """Places for a word: right and left of its point, and ever farther above and below."""
    width, half = LETTER * size * len(text), LINE * size / 2
    for step in range(30):
        for moved in {0.6 * size * step, -0.6 * size * step}:
            for left in (False, True):
                gap = 7.0 if abs(moved) < 2.5 * size else 14.0
                start = x - gap - width if left else x + gap
                yield moved, left, Box(start, y + moved - half, start + width, y + moved + half)


def _cost(
    box: Box, taken: Sequence[Box], named: NDArray[Any], others: NDArray[Any], room: NDArray[Any]
) -> float:
    cost = POINT * _inside(box, others) + NAMED * min(_inside(box, named, 5), 3)
    cost += WORD * sum(
        box.left < one.right and one.left < box.right and box.bottom < one.top and one.bottom < box.top
        for one in taken
    )
    out = box.left < 0 or box.bottom < 0 or box.right > room[0] + 4 or box.top > room[1] + 4
    return cost + OUTSIDE * out


def _inside(box: Box, points: NDArray[Any], margin: float = 2) -> int:
    x, y = points[:, 0], points[:, 1]
    across = (x > box.left - margin) & (x < box.right + margin)
    return int((across & (y > box.bottom - margin) & (y < box.top + margin)).sum())


def _at(axes: Axes, points: NDArray[Any], room: NDArray[Any]) -> NDArray[Any]:
    """From the data's coordinates to typographic points within the axes."""
    if not len(points):
        return np.empty((0, 2))
    return np.asarray((axes.transData + axes.transAxes.inverted()).transform(points)) * room

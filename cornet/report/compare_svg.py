"""From a figure to a drawing inside a page: text stays text, and a browser names a point under the mouse."""

import io
import re
import warnings
from collections.abc import Mapping, Sequence
from xml.etree import ElementTree

import matplotlib
from matplotlib.figure import Figure

__all__ = ["drawing"]

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

"""From values to HTML, by the templates of this package. Every value is escaped: run folders are not trusted."""

import io
import math
from base64 import b64encode
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from statistics import median
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape
from PIL import Image

from cornet.report.statistics import Estimate
from cornet.report.style import epoch_text

__all__ = [
    "count_text",
    "data_address",
    "interval_text",
    "number",
    "p_text",
    "page",
    "part",
    "picture",
    "signed",
    "simulated_banner",
]


def page(title: str, parts: Sequence[Markup]) -> str:
    """HTML of a whole page: its title and its parts, of which empty ones are left out."""
    template = _environment().get_template("page.html")
    return template.render(title=title, parts=[one for one in parts if one])


def part(name: str, /, **values: Any) -> Markup:
    """HTML of a part of a page. name: the template and its macro, as in run.lacking."""
    template, _, macro = name.partition(".")
    return Markup(getattr(_environment().get_template(f"{template}.html").module, macro)(**values).strip())


def picture(name: str, content: bytes, narrow: bytes | None = None, /, **values: Any) -> Markup:
    """HTML of a part that shows a PNG. narrow: shown instead on narrow screens, where it is else scrolled."""
    # All pictures at one scale, so that their letters are of one size; 1040 px are 9 inches.
    with Image.open(io.BytesIO(content)) as image:
        width = round(image.width * 1040 / 1350)
    addresses = {"address": data_address(content), "narrow": narrow and data_address(narrow)}
    return part(name, width=width, **addresses, **values)


def data_address(content: bytes) -> str:
    """A PNG as an address that holds all of it."""
    return "data:image/png;base64," + b64encode(content).decode()


def simulated_banner(names: Sequence[str], simulated: Sequence[str], what: str) -> Markup:
    """HTML: which of the names are simulated; nothing where none is. what: all names together."""
    told = what if len(simulated) == len(names) else ", ".join(simulated)
    return part("parts.simulated", what=told) if simulated else Markup()


def number(value: float, digits: int = 3) -> str:
    """Three digits after the point; - for NaN."""
    text = f"{value:.{digits}f}" if math.isfinite(value) else "-"
    return text.removeprefix("-") if text.strip("-0.") == "" and len(text) > 1 else text


def signed(value: float) -> str:
    """A correlation as the field writes it: .90, -.08."""
    return f"{value:.2f}".replace("0.", ".", 1) if math.isfinite(value) else "-"


def p_text(p: float) -> str:
    return "< 0.001" if p < 0.001 else number(p)


def interval_text(estimate: Estimate) -> str:
    """0.412 to 0.476; - where there is no interval."""
    return f"{number(estimate.low)} to {number(estimate.high)}" if math.isfinite(estimate.low) else "-"


def points_text(value: float) -> str:
    """Of 100, with a sign; 0.0 has none."""
    text = number(100 * value, 1)
    return text if text in ("-", "0.0") else f"{100 * value:+.1f}"


def count_text(value: float) -> str:
    """15; 534,982; 0.535 M; 16.4 G; - for what is not known."""
    if not math.isfinite(value):
        return "-"
    for size, unit in ((1e9, "G"), (1e6, "M")):
        if value >= 0.9995 * size:
            return f"{value / size:.3g} {unit}" if value < 999.5 * size else f"{value / size:,.0f} {unit}"
    return f"{value:,.0f}"


def time_text(seconds: float) -> str:
    """45 s, 12 min, 3.4 h; - for what is not known."""
    if not math.isfinite(seconds):
        return "-"
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"


def broken(text: str, also: str = "") -> Markup:
    """HTML: a name that a browser may break after _ and the characters of `also`."""
    html = str(escape(text))
    for character in f"_{also}":
        html = html.replace(character, f"{character}<wbr>")
    return Markup(html)


def _whole(value: float) -> str:
    return f"{value:,.0f}" if math.isfinite(value) else "-"


@cache
def _environment() -> Environment:
    found = Environment(
        loader=FileSystemLoader(Path(__file__).with_name("templates")),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    found.filters |= {
        "broken": broken,
        "count": count_text,
        "duration": time_text,
        "epoch": epoch_text,
        "interval": interval_text,
        "median": median,
        "number": number,
        "p": p_text,
        "points": points_text,
        "signed": signed,
        "whole": _whole,
    }
    found.tests["finite"] = math.isfinite
    return found

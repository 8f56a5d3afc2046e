"""Render values to HTML with this package's templates. Every value is escaped, because run folders are untrusted."""

import io
import math
from base64 import b64encode
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
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
    "thumbnail",
]

THUMBNAIL = 96
"""Pixels of the longer side of a stimulus on a page."""


def page(title: str, parts: Sequence[Markup]) -> str:
    """Render a whole page from its title and its parts. Empty parts are left out."""
    template = _environment().get_template("page.html")
    return template.render(title=title, parts=[one for one in parts if one])


def part(name: str, /, **values: Any) -> Markup:
    """Render a part of a page. name: the template and its macro, such as run.notes."""
    template, _, macro = name.partition(".")
    return Markup(getattr(_environment().get_template(f"{template}.html").module, macro)(**values).strip())


def picture(name: str, content: bytes, narrow: bytes | None = None, /, **values: Any) -> Markup:
    """Render a part with a PNG. narrow: a PNG for narrow screens; without it, the wide one scrolls there."""
    # All pictures have the same scale and so the same letter size: 1040 px are 9 inches.
    with Image.open(io.BytesIO(content)) as image:
        width = round(image.width * 1040 / 1350)
    addresses = {"address": data_address(content), "narrow": narrow and data_address(narrow)}
    return part(name, width=width, **addresses, **values)


def data_address(content: bytes) -> str:
    """Return a PNG as a data URL."""
    return "data:image/png;base64," + b64encode(content).decode()


def thumbnail(pixels: Any) -> bytes:
    """Return a PNG of an image (y, x) or (y, x, 3) of at most `THUMBNAIL` pixels per side."""
    image = Image.fromarray(np.ascontiguousarray(pixels))
    image.thumbnail((THUMBNAIL, THUMBNAIL))
    content = io.BytesIO()
    image.save(content, "PNG", optimize=True)
    return content.getvalue()


def simulated_banner(names: Sequence[str], simulated: Sequence[str], what: str) -> Markup:
    """Render the banner that lists the simulated names; empty if there are none. what: text that means all names."""
    text = what if len(simulated) == len(names) else ", ".join(simulated)
    return part("parts.simulated", what=text) if simulated else Markup()


def number(value: float, digits: int = 3) -> str:
    """Format with `digits` decimals, without a sign for zero; - if not finite."""
    text = f"{value:.{digits}f}" if math.isfinite(value) else "-"
    return text.removeprefix("-") if text.strip("-0.") == "" and len(text) > 1 else text


def signed(value: float) -> str:
    """Format a correlation without a leading zero: .90, -.08; - if not finite."""
    return f"{value:.2f}".replace("0.", ".", 1) if math.isfinite(value) else "-"


def p_text(p: float) -> str:
    return "< 0.001" if p < 0.001 else number(p)


def interval_text(estimate: Estimate) -> str:
    """Format an interval: 0.412 to 0.476; - if it is undefined."""
    return f"{number(estimate.low)} to {number(estimate.high)}" if math.isfinite(estimate.low) else "-"


def points_text(value: float) -> str:
    """Format a difference in percentage points with a sign; zero is 0.0."""
    text = number(100 * value, 1)
    return text if text in ("-", "0.0") else f"{100 * value:+.1f}"


def count_text(value: float) -> str:
    """Format a count: 15; 534,982; 1.54 M; 16.4 G; - if unknown."""
    if not math.isfinite(value):
        return "-"
    for size, unit in ((1e9, "G"), (1e6, "M")):
        if value >= 0.9995 * size:
            return f"{value / size:.3g} {unit}" if value < 999.5 * size else f"{value / size:,.0f} {unit}"
    return f"{value:,.0f}"


def time_text(seconds: float) -> str:
    """Format a duration: 45 s, 12 min, 3.4 h; - if unknown."""
    if not math.isfinite(seconds):
        return "-"
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"


def broken(text: str, also: str = "") -> Markup:
    """Render a name with line-break opportunities after _ and the characters of `also`."""
    html = str(escape(text))
    for character in f"_{also}":
        html = html.replace(character, f"{character}<wbr>")
    return Markup(html)


def _whole(value: float) -> str:
    return f"{value:,.0f}" if math.isfinite(value) else "-"


def _known(value: float | None) -> str:
    """Format with two decimals; - for None or what is not finite."""
    return number(math.nan if value is None else value, 2)


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).with_name("templates")),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "broken": broken,
        "count": count_text,
        "duration": time_text,
        "epoch": epoch_text,
        "interval": interval_text,
        "known": _known,
        "median": median,
        "number": number,
        "p": p_text,
        "points": points_text,
        "signed": signed,
        "whole": _whole,
    }
    environment.tests["finite"] = math.isfinite
    return environment

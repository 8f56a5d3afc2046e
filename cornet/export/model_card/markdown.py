"""Render a template of Markdown. Every value is escaped, because folders of runs are untrusted."""

import re
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from cornet.errors import printable
from cornet.report.render import count_text, number

__all__ = ["escape_markdown", "render_markdown"]

LONGEST = 500
"""Characters of a value that are shown."""
_SPECIAL = re.compile(r"([\\`*_\[\]|~#$!])")


class _Text(str):
    """Markdown that is shown as it is."""


def render_markdown(name: str, /, **values: Any) -> str:
    """Render a template of this package. All values are escaped, but for those of the filter `plain`."""
    return _environment().get_template(name).render(**values)


def escape_markdown(value: Any) -> str:
    """Escape a value so that Markdown shows its text on one line: no markup, HTML, links or mentions come of it."""
    if isinstance(value, _Text):
        return str(value)
    text = printable(str(value))
    text = text if len(text) <= LONGEST else f"{text[:LONGEST]} ..."
    text = _SPECIAL.sub(r"\\\1", text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;"))
    # Readers make links of bare addresses and names of users.
    return text.replace("://", ":&#47;&#47;").replace("www.", "www&#46;").replace("@", "&#64;")


def in_code(value: Any) -> _Text:
    """A value inside backticks or a block of code, where nothing is escaped: without backticks and line breaks."""
    return _Text(printable(str(value)).replace("`", "'")[:LONGEST])


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        finalize=escape_markdown,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters |= {"code": in_code, "markup": _Text, "number": number, "count": count_text}
    environment.filters["sentence"] = lambda text: text[:1].upper() + text[1:]
    return environment

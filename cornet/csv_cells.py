"""Escape text that spreadsheets would run as a formula with a leading apostrophe (OWASP, "CSV Injection")."""

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd  # slow to import, and the command line imports this module for every key press

__all__ = ["csv_text", "escape_cell", "unescape_cell"]

_FORMULA = re.compile(r"'*[=+\-@\t\r]")
_ESCAPED = re.compile(r"'+[=+\-@\t\r]")


def csv_text(table: "pd.DataFrame") -> str:
    """Return the table as CSV text, without its index and with all text escaped."""
    safe = table.map(lambda value: escape_cell(value) if isinstance(value, str) else value)
    safe.columns = [escape_cell(str(name)) for name in table.columns]
    return safe.to_csv(index=False)


def escape_cell(text: str) -> str:
    """Prepend an apostrophe to text that a spreadsheet could interpret as a formula."""
    if not _FORMULA.match(text) or _is_number(text):
        return text
    return f"'{text}"


def unescape_cell(text: str) -> str:
    """Undo `escape_cell`."""
    return text[1:] if _ESCAPED.match(text) else text


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return "\t" not in text and "\r" not in text

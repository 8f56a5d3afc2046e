"""CSV for people: a text that spreadsheets take for a formula (OWASP, "CSV Injection") gets an apostrophe in front."""

import re

import pandas as pd

__all__ = ["csv_text", "plain_cell", "safe_cell"]

_FORMULA = re.compile(r"'*[=+\-@\t\r]")
_MARKED = re.compile(r"'+[=+\-@\t\r]")


def csv_text(table: pd.DataFrame) -> str:
    """The table as CSV, without its index."""
    safe = table.map(lambda value: safe_cell(value) if isinstance(value, str) else value)
    safe.columns = [safe_cell(str(name)) for name in table.columns]
    return safe.to_csv(index=False)


def safe_cell(text: str) -> str:
    """The text, or with an apostrophe in front where it could be taken for a formula."""
    if not _FORMULA.match(text) or _is_number(text):
        return text
    return f"'{text}"


def plain_cell(text: str) -> str:
    """What `safe_cell` was given."""
    return text[1:] if _MARKED.match(text) else text


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return "\t" not in text and "\r" not in text

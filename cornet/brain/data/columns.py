"""Columns looked up by name. Misspelt names and missing entries are refused: both would change a score silently."""

import difflib
import re
from collections.abc import Iterable
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from cornet.errors import CornetError

__all__ = ["MISSING", "categories", "is_missing", "near_names", "refuse_misspelt"]

MISSING = ("", "NA", "N/A", "#N/A", "NaN", "NAN", "nan", "NULL", "null", "None", "<NA>", "NaT")
"""Text that stands for a missing entry of a category."""


def is_missing(values: ArrayLike, any_case: bool = False) -> NDArray[np.bool_]:
    """Which entries are NaN, None, blank or one of MISSING. any_case: in any case of letters."""
    array: NDArray[Any] = np.asarray(values)
    text = np.char.strip(array.astype(str))
    if any_case:
        return np.isin(np.char.lower(text), [word.lower() for word in MISSING])
    return np.isin(text, MISSING) | pd.isna(array)


def categories(values: ArrayLike, what: str, where: str, ids: ArrayLike | None = None) -> NDArray[np.str_]:
    """The values as text, one category each. what: their column. where, ids: for the message; ids None: row numbers.

    Raises CornetError for missing entries (NaN, None, empty or blank text, or one of MISSING), with their number.
    """
    array: NDArray[Any] = np.asarray(values)
    rows = np.flatnonzero(is_missing(array))
    if len(rows):
        first = f"row {rows[0]}" if ids is None else repr(str(np.asarray(ids)[rows[0]]))
        raise CornetError(
            f"{where} has no {what} in {len(rows)} of {len(array)} rows (the first: {first}), and a missing value is "
            "no category of its own; fill them in, or leave those rows out."
        )
    return array.astype(str)


def near_names(wanted: str, names: Iterable[object]) -> list[str]:
    """Those of the names that differ from the wanted one by a typing error, a plural, case, or what joins words."""
    key, found = _plain(wanted), []
    for name in map(str, names):
        other = _plain(name)
        same = sum(block.size for block in difflib.SequenceMatcher(None, key, other).get_matching_blocks())
        if name != wanted and len(key) + len(other) - 2 * same <= 2:  # one letter differs, or two are swapped
            found.append(name)
    return found


def refuse_misspelt(wanted: Iterable[str], names: Iterable[object], where: str, remedy: str = "") -> None:
    """Raise CornetError where a wanted column is absent and one has nearly its name. where, remedy: for messages."""
    there = [str(name) for name in names]
    for name in wanted:
        near = [one for one in near_names(name, there) if one not in wanted]
        if name not in there and near:
            raise CornetError(
                f"{where} has no {name!r} but {near[0]!r}; did you mean {name!r}? Rename it{remedy}."
            )


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())

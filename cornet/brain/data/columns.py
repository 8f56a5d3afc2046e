"""Stimuli of which two different things are stated."""

import difflib
import re
from collections.abc import Iterable
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import ArrayLike, NDArray

from cornet.errors import CornetError

__all__ = [
    "MISSING",
    "categories",
    "check_facts",
    "check_one_value",
    "is_missing",
    "near_names",
    "refuse_misspelt",
]

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


FACTS = ("truth", "condition", "object_name", "category_name", "movie", "texture_type")
"""Columns that decide which answer is right, and how stimuli are split."""

SHOWN = ("truth", "sample_obj")
"""Coordinates that name the object of a stimulus otherwise."""


def check_one_value(ids: ArrayLike, values: ArrayLike, what: str, where: str) -> None:
    """Raise CornetError where one stimulus has two values. ids, values: (row,). what, where: for the message."""
    codes, names = pd.factorize(np.asarray(ids))
    each, stated = pd.factorize(np.asarray(values), use_na_sentinel=False)
    first = each[np.unique(codes, return_index=True)[1]]
    rows = np.flatnonzero(each != first[codes])
    if len(rows):
        row = rows[0]
        raise CornetError(
            f"{where} states two values of {what} for {len(np.unique(codes[rows]))} of {len(names)} stimuli, such as "
            f"{str(stated[first[codes[row]]])!r} and {str(stated[each[row]])!r} for {str(names[codes[row]])!r}, but "
            "each stimulus has one; correct it."
        )


def check_facts(assembly: xr.DataArray, table: pd.DataFrame, where: str) -> None:
    """Raise CornetError where an assembly's coordinates differ from the columns of the stimuli's table.

    An object that was shown (truth, sample_obj) is compared with object_name, too, where both use the same names.
    """
    ids = assembly.coords["stimulus_id"].values
    for name, coordinate in assembly.coords.items():
        if coordinate.dims != ("presentation",):
            continue
        if name in FACTS and name in table:
            check_table(ids, coordinate.values, table[name], table["stimulus_id"], where)
        elif name in SHOWN and "object_name" in table:
            objects = table["object_name"]
            if np.isin(coordinate.values.astype(str), objects.to_numpy(str)).all():
                check_table(ids, coordinate.values, objects, table["stimulus_id"], where)


def check_table(
    ids: ArrayLike, values: ArrayLike, column: pd.Series, column_ids: ArrayLike, where: str
) -> None:
    """Raise CornetError where values (row,) of `ids` differ from a column of their table; missing ones do not."""
    stated = pd.DataFrame({"id": np.asarray(ids, str), "value": np.asarray(values)}).drop_duplicates()
    names = np.concatenate([np.asarray(column_ids, str), stated["id"].to_numpy(str)])
    both = [str(value) for value in (*column, *stated["value"])]
    numbers = pd.to_numeric(pd.Series(both, dtype=object), errors="coerce")
    # 1 and 1.0 are the same.
    text = np.array([word if n != n else repr(n) for word, n in zip(both, numbers, strict=True)])
    known = ~is_missing(text, any_case=True)
    check_one_value(names[known], text[known], str(column.name), where)

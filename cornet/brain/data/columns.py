"""Check columns and coordinates for missing values, misspelt names, and contradictions about a stimulus."""

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
    "check_column",
    "check_coordinates",
    "check_one_value",
    "check_spelling",
    "is_missing",
    "similar_names",
]

MISSING = ("", "NA", "N/A", "#N/A", "NaN", "NAN", "nan", "NULL", "null", "None", "<NA>", "NaT")
"""Text that marks a missing category."""


def is_missing(values: ArrayLike, any_case: bool = False) -> NDArray[np.bool_]:
    """Mask the entries that are NaN, None, blank or in MISSING. any_case: ignore case."""
    array: NDArray[Any] = np.asarray(values)
    text = np.char.strip(array.astype(str))
    if any_case:
        return np.isin(np.char.lower(text), [word.lower() for word in MISSING])
    return np.isin(text, MISSING) | pd.isna(array)


def categories(values: ArrayLike, what: str, where: str, ids: ArrayLike | None = None) -> NDArray[np.str_]:
    """Return category labels as text. what, where, ids: column, source and row ids (None: numbers) for the message.

    Raises CornetError for missing entries (see `is_missing`).
    """
    array: NDArray[Any] = np.asarray(values)
    rows = np.flatnonzero(is_missing(array))
    if len(rows):
        first = f"row {rows[0]}" if ids is None else repr(str(np.asarray(ids)[rows[0]]))
        raise CornetError(
            f"{where} has no {what} in {len(rows)} of {len(array)} rows (first: {first}), but every row needs one; "
            "fill them in or drop those rows."
        )
    return array.astype(str)


def similar_names(wanted: str, names: Iterable[object]) -> list[str]:
    """Return the names that differ from `wanted` only by a typo, a plural, case, or word separators."""
    key, similar = _normalised(wanted), []
    for name in map(str, names):
        other = _normalised(name)
        same = sum(block.size for block in difflib.SequenceMatcher(None, key, other).get_matching_blocks())
        if name != wanted and len(key) + len(other) - 2 * same <= 2:  # one letter differs, or two are swapped
            similar.append(name)
    return similar


def check_spelling(wanted: Iterable[str], names: Iterable[object], where: str) -> None:
    """Raise CornetError if a wanted column is missing but a similar name exists. where: for the message."""
    present = [str(name) for name in names]
    for name in wanted:
        similar = [other for other in similar_names(name, present) if other not in wanted]
        if name not in present and similar:
            raise CornetError(
                f"{where} has no {name!r} but {similar[0]!r}; did you mean {name!r}? Rename it."
            )


def _normalised(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())


STIMULUS_COLUMNS = ("truth", "condition", "object_name", "category_name", "movie", "texture_type")
"""Columns that define the correct answer or how stimuli are split."""

OBJECT_COORDINATES = ("truth", "sample_obj")
"""Coordinates that give the same information as object_name."""


def check_one_value(ids: ArrayLike, values: ArrayLike, what: str, where: str) -> None:
    """Raise CornetError if a stimulus has several values. ids, values: (row,). what, where: for the message."""
    codes, names = pd.factorize(np.asarray(ids))
    value_codes, unique_values = pd.factorize(np.asarray(values), use_na_sentinel=False)
    first = value_codes[np.unique(codes, return_index=True)[1]]
    rows = np.flatnonzero(value_codes != first[codes])
    if len(rows):
        row = rows[0]
        raise CornetError(
            f"{where} gives two values of {what} for {len(np.unique(codes[rows]))} of {len(names)} stimuli, such as "
            f"{str(unique_values[first[codes[row]]])!r} and {str(unique_values[value_codes[row]])!r} for "
            f"{str(names[codes[row]])!r}, but each stimulus must have one; correct it."
        )


def check_coordinates(assembly: xr.DataArray, table: pd.DataFrame, where: str) -> None:
    """Raise CornetError if an assembly's coordinates contradict the columns of the stimulus table.

    truth and sample_obj are also compared with object_name if they use the same names.
    """
    ids = assembly.coords["stimulus_id"].values
    for name, coordinate in assembly.coords.items():
        if coordinate.dims != ("presentation",):
            continue
        if name in STIMULUS_COLUMNS and name in table:
            check_column(ids, coordinate.values, table[name], table["stimulus_id"], where)
        elif name in OBJECT_COORDINATES and "object_name" in table:
            objects = table["object_name"]
            if np.isin(coordinate.values.astype(str), objects.to_numpy(str)).all():
                check_column(ids, coordinate.values, objects, table["stimulus_id"], where)


def check_column(
    ids: ArrayLike, values: ArrayLike, column: pd.Series, column_ids: ArrayLike, where: str
) -> None:
    """Raise CornetError if the values (row,) of `ids` contradict a column of the table; missing values are skipped."""
    pairs = pd.DataFrame({"id": np.asarray(ids, str), "value": np.asarray(values)}).drop_duplicates()
    names = np.concatenate([np.asarray(column_ids, str), pairs["id"].to_numpy(str)])
    both = [str(value) for value in (*column, *pairs["value"])]
    numbers = pd.to_numeric(pd.Series(both, dtype=object), errors="coerce")
    # 1 and 1.0 are equal.
    text = np.array([word if n != n else repr(n) for word, n in zip(both, numbers, strict=True)])
    known = ~is_missing(text, any_case=True)
    check_one_value(names[known], text[known], str(column.name), where)

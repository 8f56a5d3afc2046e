"""Stimuli of which two different things are stated."""

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import ArrayLike

from cornet.brain.data.columns import is_missing
from cornet.errors import CornetError

__all__ = ["check_facts", "check_one_value"]

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

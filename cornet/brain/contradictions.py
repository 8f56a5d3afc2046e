"""Stimuli of which two different things are stated."""

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from cornet.errors import CornetError

__all__ = ["FACTS", "check_one_value", "check_table"]

FACTS = ("truth", "condition", "object_name", "category_name", "movie", "texture_type")
"""Columns that decide which answer is right, and how stimuli are split."""

MISSING = ("", "nan", "na", "none", "<na>")
"""Entries that state nothing, in any case of letters."""


def check_one_value(ids: ArrayLike, values: ArrayLike, what: str, where: str) -> None:
    """Raise CornetError where one stimulus has two values.

    ids, values: (row,), in any order. what: the name of the values. where: what states them, for the message.
    """
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


def check_table(ids: ArrayLike, values: ArrayLike, table: pd.DataFrame, what: str, where: str) -> None:
    """Raise CornetError where an assembly's values differ from those in the column `what` of the stimuli's table.

    An entry that is missing on either side contradicts nothing.
    """
    stated = pd.DataFrame({"id": np.asarray(ids, str), "value": np.asarray(values)}).drop_duplicates()
    names = np.concatenate([table["stimulus_id"].to_numpy(str), stated["id"].to_numpy(str)])
    both = [str(value) for value in (*table[what], *stated["value"])]
    numbers = pd.to_numeric(pd.Series(both, dtype=object), errors="coerce")
    # 1 and 1.0 are the same.
    text = np.array([word if n != n else repr(n) for word, n in zip(both, numbers, strict=True)])
    known = ~np.isin(np.char.lower(text), MISSING)
    check_one_value(names[known], text[known], what, where)

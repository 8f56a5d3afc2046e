"""Which presentations are of the same stimulus, and the order of averaged stimuli, in which random splits are drawn.

As the reference: grouped and sorted by the tuple of all presentation coordinates but the repetition, in file order.
Two rules are ours: NaN equals NaN and comes last, and a coordinate with several values within a stimulus is refused
(the reference silently makes several rows of the stimulus, on both sides of a split).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import NDArray

from cornet.errors import CornetError

__all__ = ["Groups", "group_presentations", "ranks"]


@dataclass(frozen=True, eq=False)
class Groups:
    """code: per presentation, the row of its stimulus. first: per row, its first presentation in the file."""

    code: NDArray[np.int64]
    first: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.first)


def group_presentations(assembly: xr.DataArray, ignore: Sequence[str] = ()) -> Groups:
    """The presentations of an assembly by stimulus, rows in the reference's order.

    ignore: presentation coordinates, besides repetition, that may differ within a stimulus.

    Raises CornetError where stimulus_id is missing, `ignore` names a coordinate that is not there, or another
    coordinate differs within a stimulus.
    """
    names = [str(name) for name, value in assembly.coords.items() if value.dims == ("presentation",)]
    if "stimulus_id" not in names:
        raise CornetError(
            f"the assembly has the presentation coordinates {', '.join(names) or '(none)'}, but needs stimulus_id; "
            "add it."
        )
    if unknown := sorted({*ignore} - {*names}):
        raise CornetError(
            f"ignore={unknown[0]!r} is no presentation coordinate of the assembly; it has {', '.join(names)}."
        )
    left_out = {"presentation", "repetition", *ignore}  # presentation: an index of the rows themselves
    codes = {name: _codes(assembly.coords[name].values) for name in names if name not in left_out}
    code = np.zeros(assembly.sizes["presentation"], np.int64)
    for each in codes.values():
        code = _dense(code, each)
    count = int(code.max(initial=-1)) + 1
    if count > int(codes["stimulus_id"].max(initial=-1)) + 1:
        _refuse_split(assembly, codes)
    first = np.full(count, len(code), np.int64)
    np.minimum.at(first, code, np.arange(len(code)))
    return Groups(code, first)


def ranks(code: NDArray[np.int64]) -> list[NDArray[np.int64]]:
    """The positions of the first of each group, of the second, and so on: none of these arrays meets a group twice."""
    order = np.argsort(code, kind="stable")
    sorted_code = code[order]
    starts = np.flatnonzero(np.diff(sorted_code, prepend=-1))
    rank = np.arange(len(code)) - np.repeat(starts, np.diff(starts, append=len(code)))
    by_rank = order[np.argsort(rank, kind="stable")]
    return np.split(by_rank, np.cumsum(np.bincount(rank))[:-1]) if len(code) else []


def _codes(values: NDArray) -> NDArray[np.int64]:
    """Each value's place among the sorted unique ones; NaN are one value, the last."""
    if values.dtype.kind not in "biufUSmM":
        values = values.astype(str)
    codes, unique = pd.factorize(values, use_na_sentinel=False)
    place = np.empty(len(unique), np.int64)
    place[np.argsort(np.asarray(unique, values.dtype), kind="stable")] = np.arange(len(unique))
    return place[codes]


def _dense(code: NDArray[np.int64], further: NDArray[np.int64]) -> NDArray[np.int64]:
    """Codes of the pairs (code, further), numbered from 0 in their order."""
    both = code * (int(further.max(initial=0)) + 1) + further
    return np.unique(both, return_inverse=True)[1].astype(np.int64)


def _refuse_split(assembly: xr.DataArray, codes: dict[str, NDArray[np.int64]]) -> None:
    stimulus = codes["stimulus_id"]
    stimuli = int(stimulus.max()) + 1
    for name, code in codes.items():
        pairs = np.unique(np.stack([stimulus, code]), axis=1)[0]
        times = np.bincount(pairs, minlength=stimuli)
        if (times > 1).any():
            example = str(assembly.coords["stimulus_id"].values[stimulus == times.argmax()][0])
            raise CornetError(
                f"the presentation coordinate {name!r} takes several values within {int((times > 1).sum())} of "
                f"{stimuli} stimuli ({times.max()} for {example!r}), so their repetitions would not be averaged; "
                f"give ignore=[{name!r}] (--ignore {name}), or a stimulus_id of its own to each of its values."
            )

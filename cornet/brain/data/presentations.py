"""Group presentations by stimulus and order the averaged stimuli. Random splits depend on this order.

As in the reference, presentations are grouped and sorted by the tuple of all presentation coordinates except
repetition, in file order. Two rules differ: NaN equals NaN and sorts last, and a coordinate that varies within a
stimulus is an error (the reference silently creates several rows, which may land on both sides of a split).
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
    """code: the row of each presentation's stimulus. first: each row's first presentation in the file."""

    code: NDArray[np.int64]
    first: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.first)


def group_presentations(assembly: xr.DataArray, ignore: Sequence[str] = ()) -> Groups:
    """Group an assembly's presentations by stimulus, rows in the reference's order.

    ignore: presentation coordinates, besides repetition, that may differ within a stimulus.

    Raises CornetError if stimulus_id is missing, `ignore` names an unknown coordinate, or another coordinate differs
    within a stimulus.
    """
    names = [str(name) for name, value in assembly.coords.items() if value.dims == ("presentation",)]
    if "stimulus_id" not in names:
        raise CornetError(
            f"the assembly has the presentation coordinates {', '.join(names) or '(none)'}, but stimulus_id is "
            "required; add it."
        )
    if unknown := sorted({*ignore} - {*names}):
        raise CornetError(
            f"ignore={unknown[0]!r} is not a presentation coordinate of the assembly; choose one of {', '.join(names)}."
        )
    excluded = {"presentation", "repetition", *ignore}  # presentation: an index of the rows
    codes = {name: _codes(assembly.coords[name].values) for name in names if name not in excluded}
    code = np.zeros(assembly.sizes["presentation"], np.int64)
    for each in codes.values():
        code = _pair_codes(code, each)
    count = int(code.max(initial=-1)) + 1
    if count > int(codes["stimulus_id"].max(initial=-1)) + 1:
        _raise_varying(assembly, codes)
    first = np.full(count, len(code), np.int64)
    np.minimum.at(first, code, np.arange(len(code)))
    return Groups(code, first)


def ranks(code: NDArray[np.int64]) -> list[NDArray[np.int64]]:
    """Return the positions of each group's first member, of each second member, and so on.

    No array contains two members of one group, so each can index an in-place addition.
    """
    order = np.argsort(code, kind="stable")
    sorted_code = code[order]
    starts = np.flatnonzero(np.diff(sorted_code, prepend=-1))
    rank = np.arange(len(code)) - np.repeat(starts, np.diff(starts, append=len(code)))
    by_rank = order[np.argsort(rank, kind="stable")]
    return np.split(by_rank, np.cumsum(np.bincount(rank))[:-1]) if len(code) else []


def _codes(values: NDArray) -> NDArray[np.int64]:
    """Return each value's index among the sorted unique values. All NaN are one value, the last."""
    if values.dtype.kind not in "biufUSmM":
        values = values.astype(str)
    codes, unique = pd.factorize(values, use_na_sentinel=False)
    position = np.empty(len(unique), np.int64)
    position[np.argsort(np.asarray(unique, values.dtype), kind="stable")] = np.arange(len(unique))
    return position[codes]


def _pair_codes(code: NDArray[np.int64], further: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return codes of the pairs (code, further), numbered from 0 in sorted order."""
    both = code * (int(further.max(initial=0)) + 1) + further
    return np.unique(both, return_inverse=True)[1].astype(np.int64)


def _raise_varying(assembly: xr.DataArray, codes: dict[str, NDArray[np.int64]]) -> None:
    """Raise CornetError for the first coordinate that varies within a stimulus."""
    stimulus = codes["stimulus_id"]
    stimuli = int(stimulus.max()) + 1
    for name, code in codes.items():
        pairs = np.unique(np.stack([stimulus, code]), axis=1)[0]
        times = np.bincount(pairs, minlength=stimuli)
        if (times > 1).any():
            example = str(assembly.coords["stimulus_id"].values[stimulus == times.argmax()][0])
            raise CornetError(
                f"the presentation coordinate {name!r} varies within {int((times > 1).sum())} of {stimuli} stimuli "
                f"({times.max()} values for {example!r}), so their repetitions would not be averaged; set "
                f"ignore=[{name!r}] (--ignore {name}), or use a separate stimulus_id for each value."
            )

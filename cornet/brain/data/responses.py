"""What a comparison takes of a bundle: a region's responses per stimulus, averaged and by repetition."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import NDArray

from cornet.brain.cache import cached_arrays
from cornet.brain.data.assembly import average_repetitions, by_repetition, presentation_counts
from cornet.brain.data.netcdf import as_in_file, close_file
from cornet.brain.data.presentations import group_presentations
from cornet.brain.data.selection import select
from cornet.errors import CornetError
from cornet.hashing import digest
from cornet.stimuli.stimulus_set import StimulusSet

__all__ = ["LARGEST", "Responses", "check_responses", "make_responses", "missing_notes", "stimulus_table"]

LARGEST = 1e15
"""The largest size of a response. Fill values are larger (1e20, 9.97e36, 3.4e38); measurements are not."""


def check_responses(values: NDArray[Any], what: str = "the responses") -> None:
    """Raise CornetError for responses that are infinite, or larger than LARGEST. NaN stand for missing ones."""
    if values.dtype.kind != "f":
        return
    high, low = (float(end.reduce(values, axis=None, initial=0.0)) for end in (np.fmax, np.fmin))
    if max(high, -low) <= LARGEST:
        return
    if infinite := int(np.isinf(values).sum()):
        raise CornetError(
            f"{what} hold {infinite} infinite values, but must be numbers, or NaN where there is none; correct them."
        )
    raise CornetError(
        f"{what} hold {int((np.abs(values) > LARGEST).sum())} values beyond {LARGEST:g} in size, up to "
        f"{max(high, -low):.3g}: such numbers are fill values, not measurements; mark missing responses with NaN."
    )


def missing_notes(responses: NDArray[Any]) -> list[str]:
    """What (stimulus, neuroid) lacks, counted: NaN are missing."""
    stimuli, neuroids = responses.shape
    there = np.isfinite(responses)
    shown, number = int(there.any(axis=1).sum()), there.sum(axis=0)
    low = np.where(there, responses, np.inf).min(axis=0, initial=np.inf)
    high = np.where(there, responses, -np.inf).max(axis=0, initial=-np.inf)
    silent, constant = int((number == 0).sum()), int(((number > 0) & (low == high)).sum())
    partial = (number > 0) & (number < shown)
    notes = []
    if shown < stimuli:
        notes.append(f"{stimuli - shown} of {stimuli} stimuli have no responses and are left out")
    if silent:
        notes.append(f"{silent} of {neuroids} neuroids have no responses and are left out")
    if constant:
        notes.append(f"{constant} of {neuroids} neuroids never vary and are left out")
    if partial.any():
        notes.append(
            f"{int(partial.sum())} of {neuroids} neuroids have no response to some of the stimuli "
            f"({int((shown - number[partial]).sum())} of {shown * neuroids} responses) and are compared on the others"
        )
    return notes


@dataclass(frozen=True, eq=False)
class Responses:
    """Responses to stimuli, rows in the order of the reference's averaged assembly.

    mean: (stimulus, neuroid) float64, averaged over presentations, NaN where a neuroid has none.
    repetitions: (repetition, stimulus, neuroid) float32 or float64, NaN where missing; None where there are not at
        least two repetitions.
    weights: (repetition, stimulus, neuroid), the number of presentations that each value of `repetitions` is the mean
        of; None where it is never more than one.
    stimulus_ids, neuroid_ids: text.
    table: one row per stimulus in this order: the stimulus set's columns and the assembly's presentation coordinates.
    region, time_bin: what was taken; None: of several regions, or a file that does not say.
    notes: what a reader of a score must know, counted: stimuli that were not presented, presentations, responses and
        neuroids that are missing, and what was averaged that is no repetition.
    """

    mean: NDArray[np.float64] = field(repr=False)
    repetitions: NDArray[Any] | None = field(repr=False)
    stimulus_ids: NDArray[np.str_] = field(repr=False)
    neuroid_ids: NDArray[np.str_] = field(repr=False)
    table: pd.DataFrame = field(repr=False)
    region: str | None = None
    time_bin: tuple[float, float] | None = None
    notes: tuple[str, ...] = ()
    weights: NDArray[np.uint16] | None = field(default=None, repr=False)

    def __str__(self) -> str:
        repeated = "averaged" if self.repetitions is None else f"{len(self.repetitions)} repetitions"
        span = "" if self.time_bin is None else f", {self.time_bin[0]:g}-{self.time_bin[1]:g} ms"
        stimuli, neuroids = self.mean.shape
        text = f"{self.region or 'all regions'}: {stimuli} stimuli x {neuroids} neuroids, {repeated}{span}"
        return text + "".join(f"; {note}" for note in self.notes)


def make_responses(
    assembly: xr.DataArray,
    stimuli: StimulusSet | None = None,
    region: str | None = None,
    time_bin: tuple[float, float] | None = None,
    ignore: Sequence[str] = (),
    identity: str = "",
) -> Responses:
    """Responses of a region in a time bin.

    stimuli: whose columns go to the table; None: those of the assembly alone.
    region, time_bin: as for `cornet.brain.select`. ignore: as for `cornet.brain.average_repetitions`.
    identity: a hash of the file that the assembly was loaded from, by which the arrays are kept on disk; "": they are
        not kept, and neither are those of values in memory, which may have been changed there.

    Raises CornetError as those two do, and for responses that are infinite or too large to be measurements
    (`cornet.brain.data.responses`).
    """
    if region is None and "region" in assembly.coords:
        regions = np.unique(assembly.coords["region"].values.astype(str))
        region = str(regions[0]) if len(regions) == 1 else None

    def compute() -> dict[str, NDArray[Any]]:
        try:
            return _compute(select(assembly, region, time_bin), ignore)
        finally:
            close_file(assembly)

    key = {
        "assembly": identity,
        "region": region,
        "time_bin": None if time_bin is None else [float(edge) for edge in time_bin],
        "ignore": sorted(ignore),
    }
    if identity and as_in_file(assembly):
        # Coordinates are in memory: one may have been given or mended after loading.
        held = {str(name): [one.dims, one.values] for name, one in assembly.coords.items()}
        arrays = cached_arrays("responses", {**key, "coordinates": digest(held)}, compute)
    else:
        arrays = compute()
    first = arrays["first"]
    return Responses(
        mean=arrays["mean"],
        repetitions=arrays.get("repetitions"),
        stimulus_ids=assembly.coords["stimulus_id"].values[first].astype(str),
        neuroid_ids=arrays["neuroid_ids"],
        table=stimulus_table(assembly, first, stimuli, ignore),
        region=region,
        time_bin=tuple(arrays["time_bin"].tolist()) or None,
        notes=_notes(arrays, 0 if stimuli is None else len(stimuli)),
        weights=arrays.get("weights"),
    )


def _compute(selected: xr.DataArray, ignore: Sequence[str]) -> dict[str, NDArray[Any]]:
    values = selected.values
    check_responses(values, f"the assembly {selected.name}: the responses")
    edges = [
        selected.coords[name].item() for name in ("time_bin_start", "time_bin_end") if name in selected.coords
    ]
    ids = selected.coords.get("neuroid_id")
    names = np.arange(selected.sizes["neuroid"]) if ids is None else np.atleast_1d(ids.values)
    arrays = {
        "mean": average_repetitions(selected, ignore).values,
        "first": group_presentations(selected, ignore).first,
        "neuroid_ids": names.astype(str),
        "time_bin": np.array(edges, float),
        "missing": np.array(_missing(selected, ignore)),
    }
    repetition = selected.coords.get("repetition")
    if repetition is not None and len(np.unique(repetition.values)) > 1:
        arrays["repetitions"] = by_repetition(selected, ignore).values
        weights = presentation_counts(selected, ignore)
        if weights is not None:
            arrays["weights"] = weights
    return arrays


def stimulus_table(
    assembly: xr.DataArray, first: NDArray[np.int64], stimuli: StimulusSet | None, ignore: Sequence[str]
) -> pd.DataFrame:
    """The stimulus set's rows for the presentations `first`, with the assembly's own values where both have a column
    (as in the reference)."""
    own = {
        str(name): coordinate.values[first]
        for name, coordinate in assembly.coords.items()
        if coordinate.dims == ("presentation",) and name not in ("presentation", "repetition", *ignore)
    }
    if stimuli is None:
        return pd.DataFrame(own)
    rows = stimuli.table.iloc[stimuli.positions(own["stimulus_id"])].reset_index(drop=True)
    return rows.assign(**own)


def _missing(selected: xr.DataArray, ignore: Sequence[str]) -> list[int]:
    """Presentations, and those without any response; responses, and those missing in the other presentations; means
    over bins of which some are missing; stimuli of which presentations with the same repetition are averaged."""
    there = ~np.isnan(selected.transpose("presentation", "neuroid").values)
    empty = ~there.any(axis=1)
    repetition = selected.coords.get("repetition")
    alike = repetition is None or len(np.unique(repetition.values)) < 2
    shown = np.bincount(group_presentations(selected, ignore).code) if alike else np.zeros(0, int)
    lacking = int((~there[~empty]).sum())
    incomplete = int(selected.attrs.get("incomplete_means", 0))
    return [len(there), int(empty.sum()), there.size, lacking, incomplete, int((shown > 1).sum())]


def _notes(arrays: dict[str, NDArray[Any]], stimuli: int) -> tuple[str, ...]:
    """stimuli: of the stimulus set; 0: not known."""
    mean, weights = arrays["mean"], arrays.get("weights")
    presentations, empty, responses, lacking, incomplete, alike = arrays["missing"].tolist()
    notes = []
    if stimuli > len(mean):
        notes.append(f"{stimuli - len(mean)} of {stimuli} stimuli were never presented and are left out")
    if empty:
        notes.append(f"{empty} of {presentations} presentations have no response and are left out")
    if lacking:
        notes.append(
            f"{lacking} of {responses} responses are missing in presentations that have others, and skipped"
        )
    if incomplete:
        notes.append(
            f"{incomplete} of {responses} responses are the mean of fewer time bins, as some are missing"
        )
    notes += missing_notes(mean)
    if alike:
        notes.append(
            f"{alike} stimuli have several presentations of the same repetition, which were averaged"
        )
    if weights is not None:
        several = int((weights.max(axis=2, initial=0) > 1).sum())
        notes.append(
            f"{several} pairs of stimulus and repetition have several presentations, which were averaged"
        )
    return tuple(notes)

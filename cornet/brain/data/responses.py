"""Prepare a region's responses for comparison: averaged per stimulus, and by repetition."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import NDArray

from cornet.brain.cache import cached_arrays
from cornet.brain.data.assembly import average_repetitions, by_repetition, presentation_counts
from cornet.brain.data.columns import categories
from cornet.brain.data.files.netcdf import close_file, is_unread
from cornet.brain.data.presentations import group_presentations
from cornet.brain.data.selection import select
from cornet.errors import CornetError
from cornet.hashing import digest
from cornet.stimuli.stimulus_set import StimulusSet

__all__ = ["Responses", "check_responses", "make_responses", "missing_notes", "stimulus_table"]

MAX_RESPONSE = 1e15
"""Maximum absolute response. Fill values are larger (1e20, 9.97e36, 3.4e38); measurements are not."""


def check_responses(values: NDArray[Any], what: str = "the responses") -> None:
    """Raise CornetError for responses that are infinite or larger than MAX_RESPONSE. NaN marks missing responses."""
    if values.dtype.kind != "f":
        return
    high, low = (float(end.reduce(values, axis=None, initial=0.0)) for end in (np.fmax, np.fmin))
    if max(high, -low) <= MAX_RESPONSE:
        return
    if infinite := int(np.isinf(values).sum()):
        raise CornetError(
            f"{what} contain {infinite} infinite values, but must be finite, or NaN if missing; correct them."
        )
    raise CornetError(
        f"{what} contain {int((np.abs(values) > MAX_RESPONSE).sum())} values above {MAX_RESPONSE:g} in magnitude, up "
        f"to {max(high, -low):.3g}, which look like fill values; mark missing responses with NaN."
    )


def missing_notes(responses: NDArray[Any]) -> list[str]:
    """Return notes that count the missing values (NaN) and constant neuroids in (stimulus, neuroid) responses."""
    stimuli, neuroids = responses.shape
    valid = np.isfinite(responses)
    shown, number = int(valid.any(axis=1).sum()), valid.sum(axis=0)
    low, high = (end.reduce(responses, axis=0, initial=np.nan) for end in (np.fmin, np.fmax))  # NaN skipped
    silent, constant = int((number == 0).sum()), int(((number > 0) & (low == high)).sum())
    partial = (number > 0) & (number < shown)
    notes = []
    if shown < stimuli:
        notes.append(f"skipped {stimuli - shown} of {stimuli} stimuli without responses")
    if silent:
        notes.append(f"skipped {silent} of {neuroids} neuroids without responses")
    if constant:
        notes.append(f"skipped {constant} of {neuroids} neuroids with constant responses")
    if partial.any():
        notes.append(
            f"{int(partial.sum())} of {neuroids} neuroids lack responses to some stimuli "
            f"({int((shown - number[partial]).sum())} of {shown * neuroids} responses) and are compared on the others"
        )
    return notes


@dataclass(frozen=True, eq=False)
class Responses:
    """Responses to stimuli, rows in the order of the reference's averaged assembly.

    mean: (stimulus, neuroid) float64, averaged over presentations, NaN where missing.
    repetitions: (repetition, stimulus, neuroid) float32 or float64, NaN where missing; None for fewer than two
        repetitions.
    repeated: positions of the stimuli that `repetitions` and `weights` have; None: all of them.
    subjects: (neuroid,), text, the subject of each; None unless asked for.
    ceilings: (neuroid,), the ceiling of each as stated by the file; None unless asked for.
    weights: (repetition, stimulus, neuroid), the number of presentations averaged into each value of `repetitions`;
        None if it is never more than one.
    stimulus_ids, neuroid_ids: text.
    table: one row per stimulus in this order: the stimulus set's columns and the assembly's presentation coordinates.
    region, time_bin: the selection; None for several regions, or if the file does not name it.
    notes: sentences for the reader of a score that count missing stimuli, presentations, responses and neuroids, and
        values averaged over anything but repetitions.
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
    repeated: NDArray[np.int64] | None = field(default=None, repr=False)
    subjects: NDArray[np.str_] | None = field(default=None, repr=False)
    ceilings: NDArray[np.float64] | None = field(default=None, repr=False)

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
    *,
    subject_by: str | None = None,
    keep_above: Mapping[str, float] | None = None,
    ceiling_by: str | None = None,
    repeated: Sequence[str] | None = None,
) -> Responses:
    """Select and average the responses of a region in a time bin.

    stimuli: its columns are added to the table; None: only the assembly's coordinates.
    region, time_bin: see `cornet.brain.select`. ignore: see `cornet.brain.average_repetitions`.
    identity: hash of the assembly's file, part of the key of the disk cache; "" disables the cache. Values in memory
        are never cached, since they may have been modified.
    subject_by, ceiling_by: neuroid coordinates with the subject and the ceiling of each. keep_above: as in
        `cornet.brain.select`.
    repeated: ids of the stimuli whose repetitions are needed; None: all. With few repeated test stimuli among many
        training stimuli, this saves most of the memory.

    Raises CornetError as those two functions do, and as `check_responses`.
    """
    if region is None and "region" in assembly.coords:
        regions = np.unique(assembly.coords["region"].values.astype(str))
        region = str(regions[0]) if len(regions) == 1 else None

    def compute() -> dict[str, NDArray[Any]]:
        try:
            selected = select(assembly, region, time_bin, keep_above)
            return _compute(selected, ignore, subject_by, ceiling_by, repeated)
        finally:
            close_file(assembly)

    key = {
        "assembly": identity,
        "region": region,
        "time_bin": None if time_bin is None else [float(edge) for edge in time_bin],
        "ignore": sorted(ignore),
        "subject_by": subject_by,
        "ceiling_by": ceiling_by,
        "keep_above": sorted((keep_above or {}).items()),
        "repeated": None if repeated is None else digest(sorted(repeated)),
    }
    if identity and is_unread(assembly):
        # Coordinates are in memory and may have been modified after loading.
        coordinates = {str(name): [item.dims, item.values] for name, item in assembly.coords.items()}
        arrays = cached_arrays("responses", {**key, "coordinates": digest(coordinates)}, compute)
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
        repeated=arrays.get("repeated"),
        subjects=arrays.get("subjects"),
        ceilings=arrays.get("ceilings"),
    )


def _compute(
    selected: xr.DataArray,
    ignore: Sequence[str],
    subject_by: str | None,
    ceiling_by: str | None,
    repeated: Sequence[str] | None,
) -> dict[str, NDArray[Any]]:
    """Compute the arrays that `make_responses` caches."""
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
        "missing": np.array(_missing_counts(selected, ignore)),
    }
    if subject_by is not None:
        labels = _of_neuroids(selected, "subject_by", subject_by)
        arrays["subjects"] = categories(labels, subject_by, f"the neuroids of the assembly {selected.name}")
    if ceiling_by is not None:
        arrays["ceilings"] = _of_neuroids(selected, "ceiling_by", ceiling_by).astype(float)
    if repeated is not None:
        shown = selected.coords["stimulus_id"].values.astype(str)
        mask = np.isin(shown, [*repeated])
        arrays["repeated"] = np.flatnonzero(np.isin(shown[arrays["first"]], [*repeated]))
        selected = selected.isel(presentation=mask)
    repetition = selected.coords.get("repetition")
    if repetition is not None and len(np.unique(repetition.values)) > 1:
        arrays["repetitions"] = by_repetition(selected, ignore).values
        weights = presentation_counts(selected, ignore)
        if weights is not None:
            arrays["weights"] = weights
    return arrays


def _of_neuroids(selected: xr.DataArray, key: str, name: str) -> NDArray[Any]:
    """A coordinate of the neuroids, (neuroid,). Raises CornetError if it is missing, or not numbers for ceilings."""
    coordinate = selected.coords.get(name)
    numbers = key == "ceiling_by"
    if (
        coordinate is None
        or coordinate.dims not in (("neuroid",), ())
        or (numbers and coordinate.dtype.kind not in "biuf")
    ):
        known = [str(other) for other, value in selected.coords.items() if value.dims == ("neuroid",)]
        raise CornetError(
            f"{key} names {name!r}, but the neuroids of the assembly {selected.name} have no {'numbers' * numbers}"
            f"{'values' * (not numbers)} of that name; use one of {', '.join(known)} in bundle.json."
        )
    return np.broadcast_to(coordinate.values, selected.sizes["neuroid"])


def stimulus_table(
    assembly: xr.DataArray, first: NDArray[np.int64], stimuli: StimulusSet | None, ignore: Sequence[str]
) -> pd.DataFrame:
    """Return the stimulus set's rows for the presentations `first`. The assembly's values take precedence, as in the
    reference."""
    own = {
        str(name): coordinate.values[first]
        for name, coordinate in assembly.coords.items()
        if coordinate.dims == ("presentation",) and name not in ("presentation", "repetition", *ignore)
    }
    if stimuli is None:
        return pd.DataFrame(own)
    rows = stimuli.table.iloc[stimuli.positions(own["stimulus_id"])].reset_index(drop=True)
    return rows.assign(**own)


def _missing_counts(selected: xr.DataArray, ignore: Sequence[str]) -> list[int]:
    """Count presentations, empty presentations, responses, responses missing from other presentations, means over
    incomplete time bins, stimuli with several presentations of one repetition, and neuroids below the limits."""
    valid = ~np.isnan(selected.transpose("presentation", "neuroid").values)
    empty = ~valid.any(axis=1)
    repetition = selected.coords.get("repetition")
    single = repetition is None or len(np.unique(repetition.values)) < 2
    shown = np.bincount(group_presentations(selected, ignore).code) if single else np.zeros(0, int)
    missing = int((~valid[~empty]).sum())
    incomplete = int(selected.attrs.get("incomplete_means", 0))
    unreliable = int(selected.attrs.get("unreliable_neuroids", 0))
    return [len(valid), int(empty.sum()), valid.size, missing, incomplete, int((shown > 1).sum()), unreliable]


def _notes(arrays: dict[str, NDArray[Any]], stimuli: int) -> tuple[str, ...]:
    """Return the counts as sentences. stimuli: size of the stimulus set; 0: unknown."""
    mean, weights = arrays["mean"], arrays.get("weights")
    presentations, empty, responses, missing, incomplete, repeated, unreliable = arrays["missing"].tolist()
    notes = []
    if unreliable:
        whole = mean.shape[1] + unreliable
        notes.append(f"skipped {unreliable} of {whole} neuroids that are not above the limits of bundle.json")
    if stimuli > len(mean):
        notes.append(f"skipped {stimuli - len(mean)} of {stimuli} stimuli that were never presented")
    if empty:
        notes.append(f"skipped {empty} of {presentations} presentations without responses")
    if missing:
        notes.append(f"skipped {missing} of {responses} responses that are missing for some neuroids")
    if incomplete:
        notes.append(f"{incomplete} of {responses} responses are means over incomplete time bins")
    notes += missing_notes(mean)
    if repeated:
        notes.append(f"averaged several presentations of the same repetition for {repeated} stimuli")
    if weights is not None:
        several = int((weights.max(axis=2, initial=0) > 1).sum())
        notes.append(f"averaged several presentations for {several} pairs of stimulus and repetition")
    return tuple(notes)

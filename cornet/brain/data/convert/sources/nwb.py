"""Read spike times and presentations of images from an NWB 2 file (HDF5), as published at DANDI.

* Spike times in s: units/spike_times, with the end of each unit in units/spike_times_index.
* Presentations: a table in intervals/ with start_time and a column that names the image; or an IndexSeries in
  stimulus/presentation/ with data (numbers of images) and timestamps.
* Regions: a column of units, or of general/extracellular_ephys/electrodes by units/electrodes (the first of a unit) or
  units/peak_channel_id.
* Images, in stimulus/templates/: an ImageSeries (image, y, x[, 3]) uint8, or a group with one dataset per image.

Links inside the file are followed, as NWB needs them; links to other files are not.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cornet.brain.data.columns import is_missing
from cornet.brain.data.convert.sources.hdf5_source import SourceFile
from cornet.errors import CornetError

__all__ = ["EXPECTED", "NwbSession", "find_templates", "open_nwb", "read_session", "spike_counts"]

EXPECTED = "an NWB 2 file with sorted units and presentations of images"
ELECTRODES = "general/extracellular_ephys/electrodes"
NAME_COLUMNS = (
    "stimulus_name",
    "image_name",
    "image_id",
    "stimulus_id",
    "image",
    "stimulus",
    "image_index",
    "frame",
)
"""Columns that may name the image, in order of preference."""

REGION_COLUMNS = ("location", "region", "brain_area", "brain_region", "structure_acronym", "area")
LEFT_OUT = ("id", "spike_times", "electrodes", "electrode_group", "neuroid_id", "subject", "region")
"""Columns of units that do not become coordinates."""


@dataclass(frozen=True, eq=False)
class NwbSession:
    """What is known of a session before its spikes are read.

    onsets: (presentation,) in s. names: (presentation,) of the images. units: neuroid_id, region, and the columns of
    the table of units. ends: (unit,) positions in spike_times. skipped: presentations without an image.
    """

    path: Path
    subject: str
    onsets: NDArray[np.float64]
    names: NDArray[np.str_]
    units: pd.DataFrame
    ends: NDArray[np.int64]
    skipped: int


def open_nwb(path: Path) -> SourceFile:
    """Open a file for reading."""
    return SourceFile(path, EXPECTED, links=True)


def read_session(path: Path, table: str | None, column: str | None, region_column: str | None) -> NwbSession:
    """Read everything but the spikes. table, column, region_column: the user's options.

    Raises CornetError if something is missing or ambiguous.
    """
    with open_nwb(path) as file:
        ends = file.column("units/spike_times_index", kinds="ui").astype(np.int64)
        spikes = file.dataset("units/spike_times", "f", (None,))
        if not len(ends) or (np.diff(ends) < 0).any() or ends[-1] > spikes.shape[0]:
            raise file.wrong(
                f"has {len(ends)} units whose spike_times_index does not fit {spikes.shape[0]:,} spikes"
            )
        units = _units(file, len(ends), region_column)
        onsets, names = _presentations(file, table, column)
        shown = np.isfinite(onsets) & ~is_missing(names) & ~np.char.startswith(names, "-")
        if not shown.any():
            raise file.wrong("has no presentation with an image")
        subject = "unknown"
        if file.has("general/subject/subject_id"):
            subject = file.texts("general/subject/subject_id")[0]
    return NwbSession(path, subject, onsets[shown], names[shown], units, ends, int((~shown).sum()))


def spike_counts(
    file: SourceFile,
    first: int,
    last: int,
    starts: NDArray[np.float64],
    ends: NDArray[np.float64],
    limit: int,
) -> NDArray[np.int64]:
    """Count the spikes first to last (exclusive) of the file in intervals [start, end), in parts of `limit` bytes."""
    dataset, counts = file.dataset("units/spike_times"), np.zeros(starts.shape, np.int64)
    step = max(1, limit // (3 * dataset.dtype.itemsize))
    for low in range(first, last, step):
        part = np.sort(np.asarray(dataset[low : min(low + step, last)], np.float64))
        counts += np.searchsorted(part, ends, "left") - np.searchsorted(part, starts, "left")
    return counts


def find_templates(path: Path, names: Sequence[str]) -> tuple[str, list[str]]:
    """Find the images in stimulus/templates. Returns the dataset of an ImageSeries and [], or "" and a dataset of
    each image. Raises CornetError if there are none."""
    with open_nwb(path) as file:
        found = list(file.group("stimulus/templates")) if file.has("stimulus/templates") else []
        for template in found:
            place = f"stimulus/templates/{template}"
            if not isinstance(file.item(place), h5py.Group):
                continue
            by_stem = {Path(name).stem: name for name in file.group(place)}
            chosen = [by_stem.get(Path(name).stem, "") for name in names]
            if all(chosen):
                return "", [f"{place}/{name}" for name in chosen]
        if all(name.isdigit() for name in names):
            for template in found:
                place = f"stimulus/templates/{template}/data"
                if file.has(place) and file.dataset(place).shape[0] > max(map(int, names)):
                    return place, []
        listed = ", ".join(found) or "nothing"
    raise CornetError(
        f"{path} has no images for its {len(names)} stimuli, such as {names[0]!r}, in stimulus/templates ({listed}); "
        "give a folder with files of these names as --images."
    )


def _presentations(
    file: SourceFile, table: str | None, column: str | None
) -> tuple[NDArray[np.float64], NDArray[np.str_]]:
    """Return the onset and the image of each presentation, from a table or an IndexSeries."""
    tables = [name for name in file.names("intervals") if file.has(f"intervals/{name}/start_time")]
    series = [name for name in file.names("stimulus/presentation") if _is_index(file, name)]
    if table is not None and table not in (*tables, *series):
        raise CornetError(
            f"{file.path} has no table {table!r}; choose one of {', '.join((*tables, *series)) or 'none'} with --table."
        )
    candidates = [(name, _name_column(file, name, column)) for name in tables if table in (None, name)]
    usable = [(name, found) for name, found in candidates if found]
    if not usable:
        usable = [(name, "") for name in series if table in (None, name)]
    if len(usable) != 1:
        columns = {name: file.names(f"intervals/{name}") for name in tables}
        listed = "; ".join(f"{name} has {', '.join(columns[name])}" for name in tables) or "none in intervals"
        what = "several tables" if usable else "no table"
        raise CornetError(
            f"{file.path} has {what} with a column that names images ({listed}); choose with --table and --column."
        )
    name, found = usable[0]
    if not found:
        return _index_series(file, f"stimulus/presentation/{name}")
    onsets = file.column(f"intervals/{name}/start_time", kinds="f").astype(np.float64)
    return onsets, _texts(file, f"intervals/{name}/{found}", len(onsets))


def _name_column(file: SourceFile, table: str, column: str | None) -> str:
    """Return the column of a table that names the image, or ""."""
    present = file.names(f"intervals/{table}")
    if column is not None:
        return column if column in present else ""
    length = file.dataset(f"intervals/{table}/start_time").shape[0]
    for name in NAME_COLUMNS:
        if name in present and len(np.unique(_texts(file, f"intervals/{table}/{name}", length))) > 1:
            return name
    return ""


def _index_series(file: SourceFile, place: str) -> tuple[NDArray[np.float64], NDArray[np.str_]]:
    numbers = file.column(f"{place}/data", kinds="iu")
    if file.has(f"{place}/timestamps"):
        onsets = file.column(f"{place}/timestamps", len(numbers), "f").astype(np.float64)
    else:
        start = file.dataset(f"{place}/starting_time", "f")
        onsets = float(start[()]) + np.arange(len(numbers)) / float(start.attrs["rate"])
    return onsets, numbers.astype(np.int64).astype(str)


def _is_index(file: SourceFile, name: str) -> bool:
    place = f"stimulus/presentation/{name}/data"
    return file.has(place) and file.dataset(place).dtype.kind in "iu" and file.dataset(place).ndim == 1


def _units(file: SourceFile, count: int, region_column: str | None) -> pd.DataFrame:
    """Return ids, regions, and the plain columns of the table of units."""
    names = file.names("units")
    ids = file.column("units/id", count, "iu") if "id" in names else np.arange(count)
    table = pd.DataFrame({"neuroid_id": ids.astype(str), "region": _regions(file, count, region_column)})
    for name in names:
        if name in LEFT_OUT or name.endswith("_index") or f"{name}_index" in names:
            continue
        item = file.item(f"units/{name}")
        if isinstance(item, h5py.Dataset) and item.shape == (count,) and item.dtype.kind in "biuf":
            table[name] = file.column(f"units/{name}", count)
    return table


def _regions(file: SourceFile, count: int, column: str | None) -> NDArray[np.str_]:
    """Return the region of each unit."""
    wanted = REGION_COLUMNS if column is None else (column,)
    own, electrode = file.names("units"), file.names(ELECTRODES)
    for name in wanted:
        if name in own:
            return _texts(file, f"units/{name}", count)
    for name in wanted:
        if name in electrode:
            size = file.dataset(f"{ELECTRODES}/{name}").shape[0]
            labels = _texts(file, f"{ELECTRODES}/{name}", size)
            if "peak_channel_id" in own:
                channels = file.column(f"{ELECTRODES}/id", size, "iu").tolist()
                places = {channel: position for position, channel in enumerate(channels)}
                rows = [
                    places.get(channel, -1)
                    for channel in file.column("units/peak_channel_id", count).tolist()
                ]
            elif "electrodes" in own:
                rows = _first_electrodes(file, count)
            else:
                continue
            if min(rows) < 0 or max(rows) >= size:
                raise file.wrong(f"has units of electrodes that are not among its {size} electrodes")
            return labels[rows]
    raise CornetError(
        f"{file.path} has no column {' or '.join(wanted)} that gives the region of its units (units: {', '.join(own)}; "
        f"electrodes: {', '.join(electrode) or 'none'}); choose one with --region-column."
    )


def _first_electrodes(file: SourceFile, count: int) -> list[int]:
    """Return the row of the first electrode of each unit."""
    rows = file.column("units/electrodes", kinds="iu").astype(np.int64)
    if "electrodes_index" not in file.names("units"):
        if len(rows) != count:
            raise file.wrong(f"has {len(rows)} electrodes for {count} units, and no electrodes_index")
        return rows.tolist()
    ends = file.column("units/electrodes_index", count, "iu").astype(np.int64)
    starts = np.r_[0, ends[:-1]]
    if (starts >= ends).any() or ends[-1] > len(rows):
        raise file.wrong("has units without an electrode")
    return rows[starts].tolist()


def _texts(file: SourceFile, name: str, length: int) -> NDArray[np.str_]:
    """Return a column as text. Whole numbers have no decimal point; NaN becomes ""."""
    dataset = file.dataset(name, shape=(length,))
    if dataset.dtype.kind in "biu":
        return file.small(name).astype(np.int64).astype(str)
    if dataset.dtype.kind == "f":
        return np.array(
            ["" if np.isnan(value) else f"{value:.12g}" for value in file.small(name).tolist()], dtype=str
        )
    return np.array(file.texts(name), dtype=str)

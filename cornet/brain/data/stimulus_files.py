"""A stimulus set from its files: a table (CSV) and an archive (zip) of images."""

import os
from pathlib import Path

import pandas as pd

from cornet.brain.data.archive import ZipPictures, image_names
from cornet.brain.data.bundle_files import checked_folder, images_path, table_path
from cornet.brain.data.columns import MISSING, near_names, refuse_misspelt
from cornet.errors import CornetError
from cornet.names import composed, escaped
from cornet.stimuli.stimulus_set import StimulusSet

__all__ = ["load_stimuli"]

_FILENAMES = ("filename", "image_file_name", "stimulus_path_within_store", "image_path_within_store")
"""Columns that name a stimulus's file: today's, and those of older sets."""

_TEXT = ("stimulus_id", "image_id", *_FILENAMES)
LEAST_ANGLE, LARGEST_ANGLE = 0.2, 180.0
"""Degrees that an image may span: less is an angle in radians, more a number of pixels."""


def load_stimuli(folder: str | os.PathLike[str]) -> StimulusSet:
    """Read a bundle's stimuli; its assembly need not be there.

    The table needs the columns stimulus_id (in old sets image_id) and filename (in old sets image_file_name); where a
    column degrees stands in it, that is the stimuli's visual angle. Ids and file names are text, whatever they look
    like. Images lie flat in the archive, below one folder, or at the paths that the table names; they are read when
    they are asked for.

    Raises CornetError for a missing file, a table that is no CSV, is empty, lacks a column or an id, or names an id
    twice, and for an archive that lacks an image or is not safe to read.
    """
    root = checked_folder(folder)
    path, archive = table_path(root), images_path(root)
    table = _read_table(path)
    columns = [column for column in _FILENAMES if column in table]
    if not columns:
        raise CornetError(
            f"the table {path} has the columns {_some(table)}, but needs filename; {_add('filename', table)}."
        )
    # Old tables have two such columns, of which the archive uses one.
    there = image_names(archive)
    column = next((one for one in columns if table[one].map(composed).isin(there).all()), columns[0])
    table["filename"] = table[column]
    name = path.stem.removeprefix("stimulus_").removeprefix("image_")
    return StimulusSet(
        name=escaped(root.name) if path.name == "stimulus_set.csv" else name,
        table=table,
        pictures=ZipPictures(archive, table["filename"].tolist()),
        degrees=_degrees(table, path),
    )


def _read_table(path: Path) -> pd.DataFrame:
    try:
        columns = pd.read_csv(path, encoding="utf-8-sig", nrows=0).columns
        table = pd.read_csv(
            path,
            encoding="utf-8-sig",
            # Ids and names stay as they stand: "007" is no number, "NA" is not missing.
            dtype={column: str for column in columns if column in _TEXT},
            na_values={column: list(MISSING) for column in columns if column not in _TEXT},
            keep_default_na=False,
            low_memory=False,
        )
    except pd.errors.EmptyDataError:
        raise CornetError(f"the table {path} is empty; it must hold one row for each stimulus.") from None
    except (ValueError, OSError) as error:  # not text, not a table (a ParserError), not readable
        reason = str(error).strip().splitlines()[-1]
        raise CornetError(
            f"the table {path} cannot be read as CSV in UTF-8 ({reason}); write it again."
        ) from None
    if not isinstance(table.index, pd.RangeIndex):  # pandas takes surplus fields for an index
        raise CornetError(
            f"the table {path} has rows with more fields than its first line names; write it again."
        )
    if "stimulus_id" not in table:
        table = table.rename(columns={"image_id": "stimulus_id"})
    if "stimulus_id" not in table:
        raise CornetError(
            f"the table {path} has the columns {_some(table)}, but needs stimulus_id (or image_id); "
            f"{_add('stimulus_id', table)}."
        )
    if table.empty:
        raise CornetError(f"the table {path} has no rows; it must hold one for each stimulus.")
    if number := int((table["stimulus_id"] == "").sum()):
        raise CornetError(f"the table {path} has {number} rows without a stimulus_id; give each its own.")
    return table


def _add(wanted: str, table: pd.DataFrame) -> str:
    near = near_names(wanted, table)
    return f"did you mean {ascii(near[0])[1:-1]:.100}? Rename it" if near else "add it"


def _some(table: pd.DataFrame) -> str:
    """The columns' names, shortened: of a file that is no table they may be anything."""
    names = ", ".join(map(str, table.columns))
    return ascii(names[:200] + ("..." if len(names) > 200 else ""))[1:-1]


def _degrees(table: pd.DataFrame, path: Path) -> float | None:
    """The one visual angle that the table gives; None where it gives none."""
    refuse_misspelt(["degrees"], table, f"the table {path}")
    values = table["degrees"].dropna().unique() if "degrees" in table else []
    if not len(values):
        return None
    number = pd.to_numeric(pd.Series(values), errors="coerce").to_numpy(float)
    if len(values) > 1 or not LEAST_ANGLE <= number[0] <= LARGEST_ANGLE:
        raise CornetError(
            f"the column degrees of {path} holds {', '.join(map(str, values[:3]))}, but must be one number from "
            f"{LEAST_ANGLE:g} to {LARGEST_ANGLE:g}, the visual angle that every image spans, in degrees (not "
            "radians or pixels)."
        )
    return float(number[0])

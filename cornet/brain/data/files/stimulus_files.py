"""Read a stimulus set from its files: a table (CSV) and an archive (zip) of images."""

import os
from pathlib import Path

import pandas as pd

from cornet.brain.data.columns import MISSING, check_spelling, similar_names
from cornet.brain.data.files.archive import ZipPictures, image_names
from cornet.brain.data.files.bundle_files import checked_folder, images_path, table_path
from cornet.errors import CornetError
from cornet.names import composed, escaped
from cornet.stimuli.stimulus_set import StimulusSet

__all__ = ["load_stimuli"]

_FILENAMES = ("filename", "image_file_name", "stimulus_path_within_store", "image_path_within_store")
"""Columns that may name a stimulus's file: the current name first, then those of older sets."""

_TEXT = ("stimulus_id", "image_id", *_FILENAMES)
MIN_DEGREES, MAX_DEGREES = 0.2, 180.0
"""Allowed visual angle of an image in degrees: smaller values are likely radians, larger ones pixels."""


def load_stimuli(folder: str | os.PathLike[str]) -> StimulusSet:
    """Read a bundle's stimuli. The assembly is not required.

    The table needs the columns stimulus_id (in old sets image_id) and filename (in old sets image_file_name). The
    optional column degrees is the stimuli's visual angle. Ids and file names are always text. Images are at the top of
    the archive, in one folder, or at the paths in the table; they are read on first use.

    Raises CornetError for a missing file, a table that is invalid, empty, lacks a column or an id, or repeats an id,
    and for an archive that lacks an image or is unsafe.
    """
    root = checked_folder(folder)
    path, archive = table_path(root), images_path(root)
    table = _read_table(path)
    columns = [column for column in _FILENAMES if column in table]
    if not columns:
        raise CornetError(
            f"the table {path} has the columns {_column_list(table)}, but filename is required; "
            f"{_remedy('filename', table)}."
        )
    # Old tables have two such columns, and the archive uses only one of them.
    entries = image_names(archive)
    column = next((name for name in columns if table[name].map(composed).isin(entries).all()), columns[0])
    table["filename"] = table[column]
    name = path.stem.removeprefix("stimulus_").removeprefix("image_")
    return StimulusSet(
        name=escaped(root.name) if path.name == "stimulus_set.csv" else name,
        table=table,
        pictures=ZipPictures(archive, table["filename"].tolist()),
        degrees=_degrees(table, path),
    )


def _read_table(path: Path) -> pd.DataFrame:
    """Read the table and check its rows and stimulus ids."""
    try:
        columns = pd.read_csv(path, encoding="utf-8-sig", nrows=0).columns
        table = pd.read_csv(
            path,
            encoding="utf-8-sig",
            # Ids and file names are read verbatim: "007" is not a number, "NA" is not missing.
            dtype={column: str for column in columns if column in _TEXT},
            na_values={column: list(MISSING) for column in columns if column not in _TEXT},
            keep_default_na=False,
            low_memory=False,
        )
    except pd.errors.EmptyDataError:
        raise CornetError(f"the table {path} is empty, but needs one row per stimulus; add them.") from None
    except (ValueError, OSError) as error:  # not text, not a table (ParserError), unreadable
        reason = str(error).strip().splitlines()[-1]
        raise CornetError(
            f"the table {path} cannot be read as UTF-8 CSV ({reason}); write it again."
        ) from None
    if not isinstance(table.index, pd.RangeIndex):  # pandas turns surplus fields into an index
        raise CornetError(f"the table {path} has rows with more fields than its header; write it again.")
    if "stimulus_id" not in table:
        table = table.rename(columns={"image_id": "stimulus_id"})
    if "stimulus_id" not in table:
        raise CornetError(
            f"the table {path} has the columns {_column_list(table)}, but stimulus_id (or image_id) is required; "
            f"{_remedy('stimulus_id', table)}."
        )
    if table.empty:
        raise CornetError(f"the table {path} has no rows, but needs one per stimulus; add them.")
    if number := int((table["stimulus_id"] == "").sum()):
        raise CornetError(
            f"the table {path} has {number} rows without a stimulus_id; give each a unique one."
        )
    return table


def _remedy(wanted: str, table: pd.DataFrame) -> str:
    """Return the remedy for a missing column: rename a similar one, or add it."""
    similar = similar_names(wanted, table)
    return f"rename {ascii(similar[0])[1:-1]:.100} to {wanted}" if similar else "add it"


def _column_list(table: pd.DataFrame) -> str:
    """Return the column names, escaped and shortened: in an invalid table they may be anything."""
    names = ", ".join(map(str, table.columns))
    return ascii(names[:200] + ("..." if len(names) > 200 else ""))[1:-1]


def _degrees(table: pd.DataFrame, path: Path) -> float | None:
    """Return the table's visual angle in degrees; None if the column is missing or empty."""
    check_spelling(["degrees"], table, f"the table {path}")
    values = table["degrees"].dropna().unique() if "degrees" in table else []
    if not len(values):
        return None
    number = pd.to_numeric(pd.Series(values), errors="coerce").to_numpy(float)
    if len(values) > 1 or not MIN_DEGREES <= number[0] <= MAX_DEGREES:
        raise CornetError(
            f"the column degrees of {path} contains {', '.join(map(str, values[:3]))}, but must be one number from "
            f"{MIN_DEGREES:g} to {MAX_DEGREES:g}; write the visual angle of the images in degrees, not in radians "
            "or pixels."
        )
    return float(number[0])

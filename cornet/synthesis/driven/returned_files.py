"""Read the responses to synthesised images: a bundle's assembly, or a CSV with a row for each trial.

The stimulus_id of a trial is the name of the image's file, with or without .png.
"""

from pathlib import Path
from typing import Any, get_args

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cornet.brain.data.assembly import by_repetition
from cornet.brain.data.files.bundle_files import assembly_path
from cornet.brain.data.files.netcdf import load_assembly
from cornet.brain.data.responses import check_responses
from cornet.brain.data.selection import select
from cornet.brain.subjects.base import suggestion
from cornet.csv_cells import unescape_cell
from cornet.errors import CornetError, check_choice
from cornet.synthesis.driven.image_folder import SETTINGS, read_settings
from cornet.synthesis.driven.lab_table import NATURAL, SYNTHETIC, TABLE
from cornet.synthesis.driven.returned import Trials
from cornet.synthesis.driving import Mode

__all__ = ["read_trials"]

COLUMNS = ("stimulus_id", "neuroid_id", "repetition", "response")
LEAST = 2
"""Repetitions of an image: one to choose, one to measure."""


def read_trials(folder: Path, recorded: Path, time_bin: tuple[float, float] | None = None) -> Trials:
    """The responses to the images of a folder.

    folder: of an earlier `cornet drive`. recorded: a folder with assembly.nc, such a file, or a CSV. time_bin: in ms,
    of an assembly with several.

    Raises CornetError for files that cannot be read, neuroids and stimuli that the folder does not have (with near
    names), images of a recorded neuroid without responses, and images with fewer than two repetitions.
    """
    mode: Any = read_settings(folder).get("mode")
    check_choice(f"the mode in {folder / SETTINGS}", mode, get_args(Mode))
    shown = read_table(folder)
    if recorded.suffix.lower() == ".csv":
        ids, neuroids, values = from_csv(recorded)
    else:
        ids, neuroids, values = from_assembly(recorded, time_bin)
    files = list(dict.fromkeys(shown["file"]))
    stems = {**{one.removesuffix(".png"): one for one in files}, **{one: one for one in files}}
    for one in ids:
        if one not in stems:
            raise CornetError(
                f"{recorded} has the stimulus {one!r}, which {folder} has not; {suggestion(one, stems)}"
            )
    known = list(dict.fromkeys(shown["neuroid"]))
    for one in neuroids:
        if one not in known:
            raise CornetError(
                f"{recorded} has the neuroid {one!r}, which {folder} has not; {suggestion(one, known)}"
            )
    names = np.array([stems[one] for one in ids])
    if len(np.unique(names)) < len(names):
        raise CornetError(f"{recorded} names an image both with and without .png; use one name.")
    place = {name: k for k, name in enumerate(names)}
    repeated = np.isfinite(values).sum(axis=0)
    rows: dict[str, list[NDArray[np.int64]]] = {SYNTHETIC: [], NATURAL: []}
    for column, neuroid in enumerate(neuroids):
        for kind, found in rows.items():
            own = shown[(shown["neuroid"] == neuroid) & (shown["kind"] == kind)]["file"].tolist()
            missing = [one for one in own if one not in place or repeated[place[one], column] == 0]
            if missing:
                raise CornetError(
                    f"{recorded} has no responses of {neuroid} to {len(missing)} of its {len(own)} {kind} "
                    f"images (first: {missing[0]}); record all, or leave the neuroid out."
                )
            positions = np.array([place[one] for one in own], dtype=np.int64)
            few = positions[repeated[positions, column] < LEAST]
            if len(few):
                raise CornetError(
                    f"{recorded} has {int(repeated[few[0], column])} repetition of {names[few[0]]} for "
                    f"{neuroid}, but at least {LEAST} are needed: the best image is chosen on one half of "
                    "the trials and measured on the other."
                )
            found.append(positions)
    if mode != "stretch" and not (repeated >= LEAST).all():
        raise CornetError(
            f"{recorded} lacks responses of some neuroids to some images, but --mode {mode} compares all "
            f"neuroids; record at least {LEAST} repetitions of each."
        )
    absent = len(known) - len(neuroids)
    notes = (f"{absent} of {len(known)} neuroids of {folder.name} were not recorded",) if absent else ()
    return Trials(names, np.array(neuroids, dtype=str), values, rows[SYNTHETIC], rows[NATURAL], mode, notes)


def read_table(folder: Path) -> pd.DataFrame:
    """Columns file, kind and neuroid of images.csv."""
    table = read_csv(folder / TABLE, ("file", "kind", "neuroid"))
    for name in table:
        table[name] = table[name].map(unescape_cell)
    unknown = table[~table["kind"].isin([SYNTHETIC, NATURAL])]
    if len(table) == 0 or len(unknown):
        raise CornetError(
            f"{folder / TABLE} is not a table of cornet drive; repeat cornet drive in a new folder."
        )
    return table


def read_csv(path: Path, columns: tuple[str, ...]) -> pd.DataFrame:
    """These columns of a CSV, as text. Raises CornetError for a file that is not one, and for missing columns."""
    try:
        table = pd.read_csv(path, dtype=str, keep_default_na=False, encoding="utf-8-sig")
    except FileNotFoundError:
        raise CornetError(f"{path} does not exist; check the name.") from None
    except (OSError, ValueError) as error:
        reason = str(error).strip().splitlines()[-1] if str(error).strip() else "it is empty"
        raise CornetError(f"{path} cannot be read as a UTF-8 CSV ({reason}); write it again.") from None
    if missing := [name for name in columns if name not in table]:
        raise CornetError(f"{path} has no column {missing[0]}; it needs {', '.join(columns)}.")
    return table[list(columns)]


def from_csv(path: Path) -> tuple[list[str], list[str], NDArray[np.float64]]:
    """Stimulus ids, neuroid ids, and (repetition, image, neuroid) of a CSV with a row for each trial."""
    table = read_csv(path, COLUMNS)
    if table.empty:
        raise CornetError(f"{path} has no rows; it needs one for each trial.")
    response = pd.to_numeric(table["response"].replace("", "nan"), errors="coerce").to_numpy(float)
    wrong = np.isnan(response) & ~table["response"].str.lower().isin(["", "nan"]).to_numpy()
    if wrong.any():
        row = int(np.flatnonzero(wrong)[0])
        raise CornetError(
            f"{path} has the response {table['response'].iloc[row]!r} in row {row + 2}; write numbers, or "
            "nothing where it is missing."
        )
    check_responses(response, f"{path}: the responses")
    index = [table[name].map(unescape_cell) for name in COLUMNS[:3]]
    twice = pd.concat(index, axis=1).duplicated()
    if twice.any():
        row = int(np.flatnonzero(twice.to_numpy())[0])
        raise CornetError(
            f"{path} has two responses of {index[1].iloc[row]} to {index[0].iloc[row]} at repetition "
            f"{index[2].iloc[row]}; number the repetitions."
        )
    codes: list[Any] = [pd.factorize(one) for one in index]
    values = np.full((len(codes[2][1]), len(codes[0][1]), len(codes[1][1])), np.nan)
    values[codes[2][0], codes[0][0], codes[1][0]] = response
    return list(codes[0][1]), list(codes[1][1]), values


def from_assembly(
    path: Path, time_bin: tuple[float, float] | None
) -> tuple[list[str], list[str], NDArray[np.float64]]:
    """The same from an assembly, whose responses may be of several presentations of an image."""
    if not path.exists():
        raise CornetError(f"{path} does not exist; give a folder with assembly.nc, or a CSV.")
    assembly = load_assembly(assembly_path(path) if path.is_dir() else path)
    arranged = by_repetition(select(assembly, None, time_bin))
    if "neuroid_id" not in arranged.coords:
        raise CornetError(f"the assembly {path} has no coordinate neuroid_id; add it.")
    check_responses(arranged.values, f"the assembly {path}: the responses")
    ids = [str(one) for one in arranged.coords["stimulus_id"].values]
    return ids, [str(one) for one in arranged.coords["neuroid_id"].values], arranged.values.astype(float)

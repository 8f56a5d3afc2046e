"""Read the files of a Triple-N session that describe its trials and units, and the table of areas."""

import re
from collections.abc import Sequence
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.io import loadmat

from cornet.brain.data.convert.sources.hdf5_source import SourceFile, check_file
from cornet.brain.regions import REGIONS
from cornet.errors import CornetError

__all__ = ["EXPECTED", "SESSION", "read_areas", "read_trials", "read_units"]

UNIT_TYPES = {1: "SU", 2: "MUA", 3: "NonSom"}
EXPECTED = "ses*.h5 of Triple-N"
QUALITIES = (
    "reliability_best",
    "reliability_basic",
    "pos",
    "F_SI",
    "B_SI",
    "O_SI",
    "snr",
    "best_r_time1",
    "best_r_time2",
)
RENAMED = {
    "reliability_best": "reliability",
    "best_r_time1": "best_time_start",
    "best_r_time2": "best_time_end",
}
SESSION = re.compile(r"ses(\d+)_(\d+)_(M\d)_(\w+)")


def read_units(
    root: Path, path: Path, areas: pd.DataFrame, areas_path: Path
) -> tuple[pd.DataFrame, list[Path]]:
    """Return the units of a session and the other files that describe it."""
    if not (match := SESSION.match(path.name)):
        raise CornetError(
            f"{path} is not named as a session of Triple-N, such as ses01_240629_M1_2.h5; rename it."
        )
    session, animal = int(match[1]), match[3]
    processed = root / "Processed" / f"Processed_{path.stem}.mat"
    if not processed.is_file() and (root / processed.name).is_file():
        processed = root / processed.name
    check_file(processed, f"Triple-N (units of {path.name})")
    read_trials(path)
    with SourceFile(path, EXPECTED) as file:
        units = file.dataset("response_matrix_img", "f", (None, None, None)).shape[2]
    measures = _mat_columns(processed, ("UnitType", *QUALITIES), units)
    own = areas[areas["SesIdx"] == session]
    if not len(own):
        raise CornetError(f"{areas_path} has no row for session {session}; fetch it again.")
    labels = [_area(own, position) for position in measures["pos"]]
    table = pd.DataFrame(
        {
            "neuroid_id": [f"{session}.{unit}" for unit in range(units)],
            "region": [region for region, _ in labels],
            "subject": animal,
            "arealabel": [label for _, label in labels],
            "unittype": [UNIT_TYPES.get(int(kind), "?") for kind in measures["UnitType"]],
        }
    )
    for name in QUALITIES:
        table[RENAMED.get(name, name)] = measures[name].astype(np.float32)
    return table, [processed, info_path(path)]


def _area(own: pd.DataFrame, position: float) -> tuple[str, str]:
    """Return region and area of a unit by its position along the probe."""
    early = set(own["Area"].str.upper()) == {"EVC"}
    for row in own.itertuples():
        if row.y1 < position < row.y2:
            label = str(row.AREALABEL)
            if not early:
                return "IT", label
            return next((name for name in REGIONS[:-1] if label.startswith(name)), "EVC-other"), label
    return ("EVC-other", "none") if early else ("IT", "IT-other")


def read_areas(root: Path) -> tuple[Path, pd.DataFrame]:
    """Read exclude_area as CSV, or as XLS if xlrd is installed."""
    paths = [place / f"exclude_area.{kind}" for kind in ("csv", "xls") for place in (root, root / "others")]
    path = next((path for path in paths if path.is_file()), None)
    if path is None:
        raise CornetError(
            f"{root} has neither exclude_area.xls nor exclude_area.csv, which give the areas; fetch the first."
        )
    try:
        table = pd.read_csv(path) if path.suffix == ".csv" else pd.read_excel(path, engine="xlrd")
    except ImportError:
        raise CornetError(
            f"{path} needs the package xlrd; install it, or export the file as {root / 'exclude_area.csv'}."
        ) from None
    except Exception as error:  # of a damaged file
        raise CornetError(
            f"{path} cannot be read ({' '.join(str(error).split()):.200}); fetch it again."
        ) from None
    table.columns = [str(name).strip() for name in table.columns]
    wanted = ("SesIdx", "y1", "y2", "AREALABEL", "Area")
    if missing := [name for name in wanted if name not in table]:
        raise CornetError(f"{path} has no column {missing[0]!r}, only {', '.join(table)}; fetch it again.")
    return path, table.assign(**{name: table[name].astype(str).str.strip() for name in ("AREALABEL", "Area")})


def info_path(path: Path) -> Path:
    return path.with_name(f"{path.stem}_info.mat")


def read_trials(path: Path) -> tuple[NDArray[np.int64], int]:
    """Return the image of each trial, and the ms before onset, of a session."""
    info = info_path(path)
    check_file(info, f"Triple-N (trials of {path.name})")
    try:
        if h5py.is_hdf5(info):
            with SourceFile(info, "ses*_info.mat of Triple-N") as file:
                images, onset = file.column("img_idx"), file.column("global_params/pre_onset", 1)
        else:
            content = loadmat(info, variable_names=["img_idx", "global_params"], squeeze_me=True)
            images = np.atleast_1d(content["img_idx"])
            onset = np.atleast_1d(content["global_params"]["pre_onset"].item())
        return np.asarray(images, np.int64), int(onset[0])
    except CornetError:
        raise
    except Exception as error:  # damaged files make scipy raise anything
        raise CornetError(
            f"{info} has no img_idx and global_params.pre_onset ({' '.join(str(error).split()):.200}); expected "
            "ses*_info.mat of Triple-N, so fetch it again."
        ) from None


def _mat_columns(path: Path, names: Sequence[str], length: int) -> dict[str, NDArray[np.float64]]:
    """Read columns with one value per unit from a MATLAB 5 or 7.3 file."""
    try:
        if h5py.is_hdf5(path):
            with SourceFile(path, "Processed_ses*.mat of Triple-N") as file:
                found = {name: file.column(name, length) for name in names}
        else:
            content = loadmat(path, variable_names=list(names))
            found = {name: np.asarray(content[name]).ravel() for name in names}
    except CornetError:
        raise
    except Exception as error:
        raise CornetError(
            f"{path} cannot be read, or lacks a variable ({' '.join(str(error).split()):.200}); expected "
            "Processed_ses*.mat of Triple-N, so fetch it again."
        ) from None
    for name, values in found.items():
        if len(values) != length or values.dtype.kind not in "biuf":
            raise CornetError(
                f"{path} has {len(values)} values of {name}, but its session has {length} units; fetch both again."
            )
    return {name: values.astype(np.float64) for name, values in found.items()}

"""Small bundles on disk, as a user has them: a table, an archive of PNG files, a netCDF file."""

import io
import pickle
import zipfile
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr
from PIL import Image

OBJECTS = ("bear", "car", "face")


@cache
def png(value: int = 0, size: int = 4) -> bytes:
    """A PNG file of one grey."""
    file = io.BytesIO()
    Image.new("L", (size, size), value).save(file, "PNG")
    return file.getvalue()


def ids(number: int) -> np.ndarray:
    return np.array([f"im{i:02d}" for i in range(number)])


def make_table(number: int = 6) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "stimulus_id": ids(number),
            "filename": [f"{name}.png" for name in ids(number)],
            "object_name": [OBJECTS[i % 3] for i in range(number)],
        }
    )


def make_zip(path: Path, number: int = 6, folder: str = "") -> Path:
    """An archive in which image i has the grey 10 i."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for i, name in enumerate(ids(number)):
            archive.writestr(f"{folder}{name}.png", png(10 * i))
    return path


def make_assembly(
    stimuli: int = 6, repetitions: int = 4, neuroids: int = 5, bins: int = 1, seed: int = 0
) -> xr.DataArray:
    """Shuffled presentations, a twentieth NaN; two neuroids of V4, the others of IT; 10 ms bins from 70 ms."""
    rng = np.random.default_rng(seed)
    order = rng.permutation(stimuli * repetitions)
    stimulus = np.repeat(np.arange(stimuli), repetitions)[order]
    values = rng.standard_normal((len(order), neuroids, bins)).astype(np.float32)
    values[rng.random(values.shape) < 0.05] = np.nan
    return xr.DataArray(
        values,
        dims=("presentation", "neuroid", "time_bin"),
        coords={
            "object_name": ("presentation", np.array(OBJECTS)[stimulus % 3]),
            "stimulus_id": ("presentation", ids(stimuli)[stimulus]),
            "repetition": ("presentation", np.tile(np.arange(repetitions), stimuli)[order]),
            "neuroid_id": ("neuroid", [f"n{i}" for i in range(neuroids)]),
            "region": ("neuroid", ["V4" if i < 2 else "IT" for i in range(neuroids)]),
            "time_bin_start": ("time_bin", 70 + 10 * np.arange(bins)),
            "time_bin_end": ("time_bin", 80 + 10 * np.arange(bins)),
        },
        name="test.assembly",
    )


ENCODED: dict[bytes, bytes] = {}
"""Files of small assemblies, by what the assemblies are, pickled: many tests write the same one."""


def write_assembly(assembly: xr.DataArray, path: Path) -> Path:
    what = pickle.dumps(assembly) if assembly.nbytes < 2**20 else b""
    if what in ENCODED:
        path.write_bytes(ENCODED[what])
    else:
        assembly.to_netcdf(path, engine="h5netcdf")
        if what:
            ENCODED[what] = path.read_bytes()
    return path


def write_bundle(
    folder: Path, assembly: xr.DataArray | None = None, table: pd.DataFrame | None = None, images: int = 6
) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (make_table() if table is None else table).to_csv(folder / "stimulus_set.csv", index=False)
    make_zip(folder / "stimuli.zip", images)
    write_assembly(make_assembly() if assembly is None else assembly, folder / "assembly.nc")
    return folder

"""A small bundle whose parts can be changed, for tests of caches and fingerprints."""

import io
import os
import zipfile
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr
from PIL import Image

from cornet.brain.benchmarks import open_benchmarks
from cornet.brain.subjects import PixelSubject
from tests.helpers.brain.small_bundles import ids, write_assembly

STIMULI, NEUROIDS, REPETITIONS = 40, 4, 4


@cache
def picture(number: int, seed: int = 0) -> bytes:
    file = io.BytesIO()
    pixels = np.random.default_rng([seed, number]).integers(0, 256, (8, 8, 3)).astype(np.uint8)
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


def responses(seed: int = 0, **coordinates) -> xr.DataArray:
    rng = np.random.default_rng(seed)
    stimulus = np.repeat(np.arange(STIMULI), REPETITIONS)
    signal = rng.standard_normal((STIMULI, NEUROIDS))
    values = signal[stimulus][..., None] + 0.5 * rng.standard_normal((len(stimulus), NEUROIDS, 2))
    return xr.DataArray(
        values.astype(np.float32),
        dims=("presentation", "neuroid", "time_bin"),
        coords={
            "stimulus_id": ("presentation", ids(STIMULI)[stimulus]),
            "repetition": ("presentation", np.tile(np.arange(REPETITIONS), STIMULI)),
            "neuroid_id": ("neuroid", [f"n{i}" for i in range(NEUROIDS)]),
            "region": ("neuroid", ["V4"] * 3 + ["IT"]),
            "time_bin_start": ("time_bin", [70, 80]),
            "time_bin_end": ("time_bin", [80, 90]),
            **coordinates,
        },
        name="made",
    )


def table(**columns) -> pd.DataFrame:
    names = ids(STIMULI)
    return pd.DataFrame({"stimulus_id": names, "filename": [f"{one}.png" for one in names], **columns})


def write(folder: Path, rows: pd.DataFrame, data: xr.DataArray, seed: int = 0) -> Path:
    """A bundle, with the times of an hour ago: another of the same size has the same times, too."""
    folder.mkdir(exist_ok=True)
    rows.to_csv(folder / "stimulus_set.csv", index=False)
    with zipfile.ZipFile(folder / "stimuli.zip", "w") as archive:
        for number, name in enumerate(ids(STIMULI)):
            archive.writestr(zipfile.ZipInfo(f"{name}.png"), picture(number, seed))
    aside = folder / "new.nc"
    write_assembly(data, aside)
    if (folder / "assembly.nc").exists():  # in place, as `cp` does
        (folder / "assembly.nc").write_bytes(aside.read_bytes())
        aside.unlink()
    else:
        aside.rename(folder / "assembly.nc")
    for path in folder.iterdir():
        os.utime(path, ns=(10**18, 10**18))
    return folder


FILMS = np.arange(STIMULI) // 4
KINDS = np.array(["a", "b"])[np.arange(STIMULI) % 2]
SHUFFLED = np.tile([1, 0, 2, 3], STIMULI) + np.repeat(np.arange(STIMULI) % 2, REPETITIONS)
BASE = {"rows": table(movie=FILMS), "data": responses(), "time_bin": (70.0, 80.0)}


def score(folder: Path, time_bin=None, **options):
    (benchmark,) = open_benchmarks([f"{folder}:V4"], time_bin=time_bin, **{"metric": "ridge", **options})
    return benchmark, benchmark.run(PixelSubject(8))


def alike(one, other) -> bool:
    same = [
        np.array_equal(a.values, b.values, equal_nan=True)
        for a, b in ((one[1], other[1]), (one[0].ceiling, other[0].ceiling))
    ]
    return all(same) and np.array_equal(one[1].value, other[1].value, equal_nan=True)

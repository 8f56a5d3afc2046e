"""Recordings of your own as a bundle: pictures, and responses (presentation, neuroid), from plain arrays.

    python examples/own_bundle.py
    cornet score pixels gabor --on my-bundle

Replace `recorded` by your own pictures and responses. One row of the responses is one presentation of one picture.
"""

import io
import json
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr
from PIL import Image

STIMULI, REPETITIONS, NEUROIDS = 60, 4, 12


def recorded() -> tuple[np.ndarray, np.ndarray]:
    """Return pictures (stimulus, y, x) uint8 and made-up responses (repetition, stimulus, neuroid)."""
    numbers = np.random.default_rng(0)
    y, x = np.mgrid[:64, :64] / 64
    angle, frequency = numbers.uniform(0, np.pi, STIMULI), numbers.uniform(2, 8, STIMULI)
    across = np.cos(angle)[:, None, None] * x + np.sin(angle)[:, None, None] * y
    pictures = np.uint8(127 + 100 * np.sin(2 * np.pi * frequency[:, None, None] * across))
    preferred = np.linspace(0, np.pi, NEUROIDS, endpoint=False)
    signal = np.exp(2 * np.cos(2 * (angle[:, None] - preferred)) - 2)
    return pictures, signal + 0.2 * numbers.standard_normal((REPETITIONS, STIMULI, NEUROIDS))


def write_bundle(folder: Path, pictures: np.ndarray, responses: np.ndarray) -> None:
    """Write stimulus_set.csv, stimuli.zip, assembly.nc and bundle.json. responses: NaN where nothing was recorded."""
    folder.mkdir()
    repetitions, stimuli, neuroids = responses.shape
    ids = np.array([f"picture-{k:03}" for k in range(stimuli)])
    table = pd.DataFrame({"stimulus_id": ids, "filename": [f"{name}.png" for name in ids]})
    table.to_csv(folder / "stimulus_set.csv", index=False)
    with zipfile.ZipFile(folder / "stimuli.zip", "w") as archive:
        for filename, picture in zip(table["filename"], pictures, strict=True):
            file = io.BytesIO()
            Image.fromarray(picture).save(file, "PNG")
            archive.writestr(filename, file.getvalue())
    xr.DataArray(
        responses.reshape(-1, neuroids, 1).astype(np.float32),
        dims=("presentation", "neuroid", "time_bin"),
        coords={
            "stimulus_id": ("presentation", np.tile(ids, repetitions)),
            "repetition": ("presentation", np.repeat(np.arange(repetitions), stimuli)),
            "neuroid_id": ("neuroid", [f"n{k}" for k in range(neuroids)]),
            "region": ("neuroid", ["V1"] * neuroids),
            "time_bin_start": ("time_bin", [70]),  # ms after stimulus onset
            "time_bin_end": ("time_bin", [170]),
        },
        name="my-bundle",
    ).to_netcdf(folder / "assembly.nc", engine="h5netcdf")
    (folder / "bundle.json").write_text(json.dumps({"random": True}))  # how the stimuli are split


if __name__ == "__main__":
    write_bundle(Path("my-bundle"), *recorded())

"""A bundle of random images and a few neuroids, some of which follow the images' pixels."""

import io
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr
from PIL import Image

from tests.helpers.brain.small_bundles import write_assembly

STIMULI, REPETITIONS, SIDE = 60, 4, 8


def pictures(stimuli: int = STIMULI) -> np.ndarray:
    """(stimulus, y, x), black and white."""
    return 255 * np.random.default_rng(0).integers(0, 2, (stimuli, SIDE, SIDE)).astype(np.uint8)


def rates(stimuli: int = STIMULI) -> np.ndarray:
    """(stimulus, neuroid): two that follow a few pixels, one without, a silent one, and a constant one."""
    x = pictures(stimuli).reshape(stimuli, -1)[:, :3] / 255
    driven = 5 + 4 * x @ np.array([[1.0, -1.0], [1.0, 0.5], [-1.0, 1.0]])
    return np.concatenate([driven, np.zeros((stimuli, 2)), np.full((stimuli, 1), 3.0)], axis=1)


def write(
    folder: Path,
    stimuli: int = STIMULI,
    repetitions: int = REPETITIONS,
    mode: str = "1",
    base: float = 0.0,
    **columns,
) -> Path:
    """mode: of the PNG files, "1" (binary) or "RGB" (the channel three times). base: added to all responses.

    columns: of the stimulus table.
    """
    folder.mkdir(parents=True)
    ids = [f"s{k:02}" for k in range(stimuli)]
    table = pd.DataFrame({"stimulus_id": ids, "filename": [f"{one}.png" for one in ids], **columns})
    table.to_csv(folder / "stimulus_set.csv", index=False)
    with zipfile.ZipFile(folder / "stimuli.zip", "w") as archive:
        for name, pixels in zip(ids, pictures(stimuli), strict=True):
            file = io.BytesIO()
            Image.fromarray(pixels).convert(mode).save(file, "PNG")
            archive.writestr(f"{name}.png", file.getvalue())
    shown = np.repeat(np.arange(stimuli), repetitions)
    rng = np.random.default_rng(2)
    noise = rng.standard_normal((len(shown), 5)) * [1, 1, 1, 0, 0]
    assembly = xr.DataArray(
        base + rates(stimuli)[shown] + noise,
        dims=("presentation", "neuroid"),
        coords={
            "stimulus_id": ("presentation", np.array(ids)[shown]),
            "repetition": ("presentation", np.tile(np.arange(repetitions), stimuli)),
            "neuroid_id": ("neuroid", ["driven", "other", "noise", "silent", "constant"]),
            "region": ("neuroid", ["V4"] * 5),
        },
        name="made",
    )
    write_assembly(assembly, folder / "assembly.nc")
    return folder

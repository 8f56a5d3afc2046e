"""Bundles whose images and responses are linear in a few latent variables, and recorded models that encode these."""

import io
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr
from PIL import Image

from cornet.brain.subjects.recorded import RecordedSubject
from tests.helpers.brain.small_bundles import write_assembly

STIMULI, LATENTS, NEUROIDS, REPETITIONS = 80, 4, 8, 4
KINDS = np.array(["drawing", "photo"])[np.arange(STIMULI) % 2]


def latents(seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((STIMULI, LATENTS))


def names(prefix: str = "im", count: int = STIMULI) -> np.ndarray:
    return np.array([f"{prefix}{k:03}" for k in range(count)])


def picture(values: np.ndarray) -> bytes:
    """An image of 8 x 8 pixels, in which each latent variable is the grey of a stripe."""
    greys = np.clip(128 + 40 * np.repeat(values, 8 // LATENTS), 0, 255).astype(np.uint8)
    file = io.BytesIO()
    Image.fromarray(np.repeat(greys[:, None], 8, axis=1)).save(file, "PNG")
    return file.getvalue()


def neurons(
    ids: np.ndarray, variables: np.ndarray, seed: int = 0, noise: float = 0.5, neuroids: int = NEUROIDS
) -> xr.DataArray:
    """Responses (presentation, neuroid) that are linear in the variables (stimulus, latent)."""
    rng = np.random.default_rng([seed, 1])
    signal = variables @ rng.standard_normal((variables.shape[1], neuroids))
    shown = np.repeat(np.arange(len(ids)), REPETITIONS)
    values = signal[shown] + noise * rng.standard_normal((len(shown), neuroids))
    return xr.DataArray(
        values,
        dims=("presentation", "neuroid"),
        coords={
            "stimulus_id": ("presentation", ids[shown]),
            "repetition": ("presentation", np.tile(np.arange(REPETITIONS), len(ids))),
            "neuroid_id": ("neuroid", [f"n{k}" for k in range(neuroids)]),
            "region": ("neuroid", ["V4"] * neuroids),
            "animal": ("neuroid", [("ann", "bob")[k % 2] for k in range(neuroids)]),
        },
        name="latent",
    )


def write(
    folder: Path, assembly: xr.DataArray | None, ids: np.ndarray, pictures: list[bytes], **columns
) -> Path:
    folder.mkdir(parents=True)
    table = pd.DataFrame({"stimulus_id": ids, "filename": [f"{one}.png" for one in ids], **columns})
    table.to_csv(folder / "stimulus_set.csv", index=False)
    with zipfile.ZipFile(folder / "stimuli.zip", "w") as archive:
        for name, content in zip(ids, pictures, strict=True):
            archive.writestr(f"{name}.png", content)
    if assembly is not None:
        write_assembly(assembly, folder / "assembly.nc")
    return folder


def session(
    folder: Path, assembly: xr.DataArray | None = None, prefix: str = "im", seed: int = 0, **columns
) -> Path:
    """A bundle of V4 neurons. Sessions of one `seed` of `latents` share their images, under ids of their own."""
    ids = names(prefix)
    data = neurons(ids, latents(), seed) if assembly is None else assembly
    return write(folder, data, ids, [picture(one) for one in latents()], **columns)


def recorded(path: Path, prefixes=("im",), **layers: np.ndarray) -> RecordedSubject:
    """A model from a file, with these features (stimulus, feature) for each prefix of stimulus ids."""
    ids = np.concatenate([names(prefix) for prefix in prefixes])
    np.savez(path, stimulus_ids=ids, **{key: np.tile(one, (len(prefixes), 1)) for key, one in layers.items()})
    return RecordedSubject(path, name="recorded")

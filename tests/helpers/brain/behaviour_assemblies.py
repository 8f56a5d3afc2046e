"""Choices and answers of people, as assemblies of small bundles."""

import numpy as np
import xarray as xr

STIMULI = 6


def choices() -> xr.DataArray:
    """Trials of choices between two objects, as Brain-Score keeps them."""
    shown = np.repeat(np.arange(STIMULI), 8)
    sample = np.array(["bear", "car", "face"])[shown % 3]
    other = np.array(["bear", "car", "face"])[(shown + 1 + np.tile([0, 1], len(shown) // 2)) % 3]
    chosen = np.where(np.arange(len(shown)) % 3, sample, other)
    ids = np.array([f"im{i:02d}" for i in shown])
    columns = {"stimulus_id": ids, "sample_obj": sample, "dist_obj": other, "truth": sample}
    return xr.DataArray(
        chosen,
        dims="presentation",
        coords={k: ("presentation", v) for k, v in columns.items()},
        name="choice",
    )


def answers(stimuli: int = STIMULI) -> xr.DataArray:
    """Answers of observers, with condition and truth."""
    shown = np.tile(np.arange(stimuli), 3)
    names = np.array(["bear", "car", "face"])
    columns = {
        "stimulus_id": np.array([f"im{i:02d}" for i in shown]),
        "truth": names[shown % 3],
        "condition": np.array(["a", "b"])[shown % 2],
        "subject": np.repeat(["s1", "s2", "s3"], stimuli),
    }
    return xr.DataArray(
        names[(shown * shown) % 3],
        dims="presentation",
        coords={k: ("presentation", v) for k, v in columns.items()},
        name="choice",
    )

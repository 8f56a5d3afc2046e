"""The expected values of the comparisons, by name without their folder: golden("neural")["features"]."""

from functools import cache

import numpy as np

from tests.helpers.paths import GOLDEN

FILE = GOLDEN / "brainscore.npz"


@cache
def golden(folder: str) -> dict[str, np.ndarray]:
    with np.load(FILE, allow_pickle=False) as file:
        return {
            name.removeprefix(f"{folder}/"): file[name]
            for name in file.files
            if name.startswith(f"{folder}/")
        }

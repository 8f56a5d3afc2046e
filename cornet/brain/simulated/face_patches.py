"""*Simulated* face patches: three populations made from formulas, with the pattern that was published for monkeys.

Freiwald & Tsao (2010), Science 330, 845: neurons of ML/MF are tuned to the view, those of AL to the view and its mirror
image, those of AM to the identity. Their recordings are not public. Nothing was measured here.
"""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from numpy.typing import NDArray

__all__ = ["PATCHES", "face_patches"]

PATCHES = ("view-tuned", "mirror-symmetric", "identity")
"""The populations, in the order of the patches ML/MF, AL and AM."""

SHARPNESS = 4.0
"""Concentration of the tuning to the direction of the head: 45 degrees away, a unit responds with exp(-1.2)."""


def face_patches(
    table: pd.DataFrame, units: int = 400, noise: float = 0.2, seed: int = 0
) -> Mapping[str, NDArray[np.float64]]:
    """Responses (image, unit) of each population of PATCHES to heads.

    table: with the columns yaw and pitch (degrees) and identity, a row for each image. noise: standard deviation of
    independent noise, relative to that of the responses.
    """
    rng = np.random.default_rng(seed)
    seen, flipped = (directions(sign * table["yaw"], table["pitch"]) for sign in (1, -1))
    preferred = directions(rng.uniform(-180, 180, units), np.rad2deg(np.arcsin(rng.uniform(-1, 1, units))))
    tuned, mirrored = (np.exp(SHARPNESS * (each @ preferred.T - 1)) for each in (seen, flipped))
    _, heads = np.unique(table["identity"].to_numpy(), return_inverse=True)
    known = rng.standard_normal((heads.max() + 1, units))[heads]
    populations = dict(zip(PATCHES, (tuned, tuned + mirrored, known), strict=True))
    return {
        name: each + noise * each.std() * rng.standard_normal(each.shape)
        for name, each in populations.items()
    }


def directions(yaw: object, pitch: object) -> NDArray[np.float64]:
    """Unit vectors (image, 3) of where heads look, from angles in degrees."""
    a, b = np.deg2rad(np.asarray(yaw, float)), np.deg2rad(np.asarray(pitch, float))
    return np.stack([np.sin(a) * np.cos(b), np.sin(b), np.cos(a) * np.cos(b)], axis=1)

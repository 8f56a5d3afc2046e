"""Draw latents of images of heads: one row per image, which fully determines it.

Pose and light have the ranges of Yildirim et al. (2020, Science Advances 6:eaax5979) at variation 1: azimuth -1.5 to
1.5 rad, elevation -.75 to .75 rad, lamp -80 to 80 degrees in both directions.
"""

import numpy as np
import pandas as pd

from cornet.errors import CornetError
from cornet.stimuli.draws import uniform
from cornet.stimuli.objects.heads.shape import PARAMETERS
from cornet.stimuli.objects.latents import check_int, draw_latents

__all__ = ["COLUMNS", "LATENTS", "draw_heads", "head_identities"]

LATENTS = {
    **PARAMETERS,
    "x": "centre of the head, rightwards from the image's centre, in image widths",
    "y": "the same, upwards",
    "size": "height of the average head with its neck, in image widths",
    "yaw": "degrees; 0: it faces the viewer, 90: the right",
    "pitch": "degrees by which the camera looks down on it; negative: from below",
    "light_azimuth": "degrees; 0: the lamp is behind the viewer, 90: on the right",
    "light_elevation": "degrees above the line of sight",
}
"""Latents that vary and that a task can learn, and their meaning. Shape parameters are from -1 to 1."""

BACKGROUND = ("background", "background_mean", "background_contrast", "background_seed")

COLUMNS = ("stimulus_id", "identity", *LATENTS, "roll", "albedo", *BACKGROUND)
"""Columns of a table of latents. identity: number of the identity, from 0; the image's own number without identities.
roll: degrees, 0. albedo: factor on all reflectances. The background as in `cornet.stimuli.objects.COLUMNS`."""

_STREAM = "cornet heads"
_YAW, _PITCH, _LIGHT = float(np.rad2deg(1.5)), float(np.rad2deg(0.75)), 80.0


def head_identities(identities: int, *, seed: int = 0, first: int = 0) -> pd.DataFrame:
    """Shape parameters of identities first ... first + identities - 1: a row each, with the columns of PARAMETERS.

    They are uniform from -1 to 1, and depend only on (seed, number of the identity).
    """
    check_int("identities", identities, 1)
    check_int("seed", seed, 0)
    check_int("first", first, 0)
    number = np.arange(first, first + identities, dtype=np.uint64)
    drawn = {name: 2 * uniform(_STREAM, seed, "identity", number, name) - 1 for name in PARAMETERS}
    return pd.DataFrame(drawn, index=pd.Index(number.astype(int), name="identity"))


def draw_heads(
    n: int,
    *,
    identities: int | None = None,
    seed: int = 0,
    variation: float = 1.0,
    stream: str = "train",
    first: int = 0,
    background: str = "mixed",
    background_contrast: tuple[float, float] = (0.04, 0.12),
) -> pd.DataFrame:
    """Draw latents of n images: one row each, with the columns of COLUMNS.

    identities: None, a new head in every image; else the number of identities, which cycle by index (see
    `head_identities`). variation: of pose, light, position and size, from 0 (none) to 1 (all); heads always differ.
    Other arguments and errors: as in `cornet.stimuli.objects.draw_latents`. Row i depends only on first + i and the
    arguments other than n.
    """
    common = {"seed": seed, "variation": variation, "stream": stream, "first": first}
    scenery = draw_latents(n, background=background, background_contrast=background_contrast, **common)  # type: ignore[arg-type]
    index = np.arange(first, first + n, dtype=np.uint64)

    def around(field: str) -> np.ndarray:
        return variation * (2 * uniform(_STREAM, seed, stream, index, field) - 1)

    if identities is None:
        identity = index.astype(int)
        shapes = {name: 2 * uniform(_STREAM, seed, stream, index, name) - 1 for name in PARAMETERS}
    else:
        identity = (index % np.uint64(check_identities(identities))).astype(int)
        known = head_identities(identities, seed=seed)
        shapes = {name: known[name].to_numpy()[identity] for name in PARAMETERS}
    kind = "heads" if identities is None else f"heads{identities}"
    columns = {
        "stimulus_id": [f"{kind}-{stream}-s{seed}-v{variation:g}-{i:06d}" for i in index],
        "identity": identity,
        **shapes,
        "x": 0.06 * around("x"),
        "y": 0.06 * around("y"),
        "size": 0.84 * 2 ** (0.25 * around("size")),
        "yaw": _YAW * around("yaw"),
        "pitch": _PITCH * around("pitch"),
        "light_azimuth": _LIGHT * around("light_azimuth"),
        "light_elevation": _LIGHT * around("light_elevation"),
        "roll": np.zeros(n),
        "albedo": np.full(n, 0.95),
        **{name: scenery[name].to_numpy() for name in BACKGROUND},
    }
    return pd.DataFrame({name: columns[name] for name in COLUMNS})


def check_identities(identities: object) -> int:
    """Return the number of identities. Raises CornetError unless it is a whole number of at least 2."""
    whole = isinstance(identities, int | np.integer) and not isinstance(identities, bool)
    if not whole or identities < 2:  # type: ignore[operator]
        raise CornetError(
            f"identities={identities!r} must be a whole number of at least 2, or null for a new head in every image; "
            "give for example 50."
        )
    return int(identities)  # type: ignore[call-overload]

"""Stimuli that show each of several heads in seven views, as in Yildirim et al. (2020)."""

import numpy as np
import pandas as pd

from cornet.stimuli.draws import uniform
from cornet.stimuli.objects.heads.latents import COLUMNS, draw_heads, head_identities
from cornet.stimuli.objects.heads.shape import PARAMETERS
from cornet.stimuli.objects.latents import check_int

__all__ = ["HEAD_VIEWS", "head_views"]

HEAD_VIEWS = {
    "front": (0.0, 0.0),
    "half right": (0.75, 0.0),
    "profile right": (1.5, 0.0),
    "half left": (-0.75, 0.0),
    "profile left": (-1.5, 0.0),
    "down": (0.0, 0.5),
    "up": (0.0, -0.5),
}
"""Yaw and pitch of each view in rad, in the order of the published stimuli. Named by where the head looks."""

UNSEEN = 1_000_000
"""Number of the first identity that is shown, far beyond those of training sets."""

JITTER, LIMIT = 0.05, 1.5
"""Standard deviation of the noise on both angles, and the largest yaw, rad."""

ALBEDO = 0.8
"""Factor on all reflectances: the brightest head is then darker than the white background by the contrast floor."""

_STREAM = "cornet head views"


def head_views(
    identities: int = 25, *, seed: int = 0, first: int = UNSEEN, background: str = "plain"
) -> pd.DataFrame:
    """Latents of heads in the views of HEAD_VIEWS: rows by view, then by identity, and a column `view`.

    identities: number of heads, first ... first + identities - 1 of `head_identities`. background: plain white, or a
    kind as in `draw_heads`, which differs from image to image. Every image has the same light, position and size. Noise
    with a standard deviation of .05 rad is added to both angles, but the profiles do not go beyond 1.5 rad.
    Raises CornetError for invalid arguments.
    """
    check_int("identities", identities, 1)
    heads = head_identities(identities, seed=seed, first=first)
    n = identities * len(HEAD_VIEWS)
    table = draw_heads(n, seed=seed, variation=0.0, stream="views", background=background)
    names = np.repeat(list(HEAD_VIEWS), identities)
    place = np.tile(np.arange(identities), len(HEAD_VIEWS))
    angles = np.array([HEAD_VIEWS[str(name)] for name in names]) + JITTER * _noise(seed, n)
    table["identity"] = heads.index.to_numpy()[place]
    for parameter in PARAMETERS:
        table[parameter] = heads[parameter].to_numpy()[place]
    table["yaw"] = np.rad2deg(angles[:, 0].clip(-LIMIT, LIMIT))
    table["pitch"] = np.rad2deg(angles[:, 1])
    table["light_elevation"], table["albedo"] = 30.0, ALBEDO
    if background == "plain":
        table["background_mean"], table["background_contrast"], table["background_seed"] = 0.98, 0.0, 0
    table["stimulus_id"] = [
        f"head{number}-{str(name).replace(' ', '_')}"
        for number, name in zip(table["identity"], names, strict=True)
    ]
    return table[[*COLUMNS]].assign(view=names)


def _noise(seed: int, n: int) -> np.ndarray:
    """Normal numbers (n, 2), independent of n, by the method of Box and Muller."""
    index = np.arange(n, dtype=np.uint64)
    length = np.sqrt(-2 * np.log(1 - uniform(_STREAM, seed, index, "length")))
    turn = 2 * np.pi * uniform(_STREAM, seed, index, "turn")
    return np.stack([length * np.cos(turn), length * np.sin(turn)], axis=1)

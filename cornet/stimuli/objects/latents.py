"""Draw latents of images: one row per image, which fully determines it.

`variation` follows the benchmark of Majaj, Hong, Solomon, DiCarlo (2015, J Neurosci 35:13402): 0 shows every
object centred, with one size and pose; 1 is about as hard as their high variation. Unlike theirs, our camera always
looks down by at least 20 degrees, because planes and tables vanish when seen edge on.
"""

import numpy as np
import pandas as pd

from cornet.errors import CornetError, check_choice
from cornet.stimuli.draws import bits, uniform
from cornet.stimuli.objects.backgrounds import BACKGROUNDS
from cornet.stimuli.objects.categories import CATEGORIES, OBJECTS

__all__ = ["COLUMNS", "check_int", "draw_latents"]

COLUMNS = {
    "stimulus_id": "name of the image",
    "category_name": "one of CATEGORIES",
    "object_name": "one of OBJECTS[category_name]",
    "x": "centre of the object, rightwards from the image's centre, in image widths",
    "y": "the same, upwards",
    "size": "diameter of the object's bounding sphere, in image widths, to within 2 percent",
    "yaw": "degrees; 0: it faces the viewer, 90: the right",
    "pitch": "degrees by which the camera looks down on it",
    "roll": "degrees, anticlockwise in the image",
    "light_azimuth": "degrees; 0: the lamp is behind the viewer, 90: on the right",
    "light_elevation": "degrees above the line of sight",
    "albedo": "factor on the reflectance of all parts of the object",
    "background": "noise, texture, leaves, scene or plain",
    "background_mean": "grey level 0..1 of the background, before the contrast floor shifts it",
    "background_contrast": "standard deviation of the background, grey level 0..1",
    "background_seed": "seed of the background",
    "variation": "the level, 0..1",
}
"""Columns of a table of latents, and their meaning."""

_POSES = {"face": (20, 70, 20, 12), "plane": (40, 180, 32, 25)}
_POSE = (38, 180, 25, 22)
"""Degrees: yaw at variation 0, range of yaw at 1, pitch at 0, range of pitch at 1."""

_STREAM = "cornet objects"


def draw_latents(
    n: int,
    *,
    seed: int = 0,
    variation: float = 0.5,
    stream: str = "train",
    first: int = 0,
    background: str = "mixed",
    background_contrast: tuple[float, float] = (0.04, 0.12),
) -> pd.DataFrame:
    """Draw latents of n images: one row each, with the columns of COLUMNS.

    Categories and objects cycle by index, so any 64 consecutive images contain each object once. Row i depends
    only on (seed, stream, first + i, variation, background, background_contrast).

    stream: name of the random stream; different streams are independent. first: index of the first image.
    background: one kind, or "mixed" for all except plain. background_contrast: lowest and highest standard
    deviation, grey levels 0..1. Raises CornetError for invalid values.
    """
    check_int("n", n, 0)
    check_int("seed", seed, 0)
    check_int("first", first, 0)
    if not (isinstance(variation, int | float) and 0 <= variation <= 1):
        raise CornetError(
            f"variation={variation!r} must be a number from 0 (none) to 1 (high); give for example 0.5."
        )
    check_choice("background", background, ("mixed", "plain", *BACKGROUNDS))
    low, high = background_contrast
    if not 0 <= low <= high <= 0.2:
        raise CornetError(
            f"background_contrast={background_contrast!r} must be two standard deviations with"
            " 0 <= lowest <= highest <= 0.2; give for example (0.04, 0.12)."
        )
    index = np.arange(first, first + n, dtype=np.uint64)
    category = (index % np.uint64(len(CATEGORIES))).astype(int)
    member = (index // np.uint64(len(CATEGORIES)) % np.uint64(8)).astype(int)
    names = [CATEGORIES[k] for k in category]

    def draw(field: str) -> np.ndarray:
        return uniform(_STREAM, seed, stream, index, field)

    def around(field: str) -> np.ndarray:
        return variation * (2 * draw(field) - 1)

    poses = np.array([_POSES.get(name, _POSE) for name in names], float).reshape(-1, 4)
    yaw, yaw_range, pitch, pitch_range = poses.T
    choice = list(BACKGROUNDS) if background == "mixed" else [background]
    kind = (draw("background") * len(choice)).astype(int)
    columns = {
        "stimulus_id": [f"objects-{stream}-s{seed}-v{variation:g}-{i:06d}" for i in index],
        "category_name": names,
        "object_name": [OBJECTS[name][m] for name, m in zip(names, member, strict=True)],
        "x": 0.18 * around("x"),
        "y": 0.18 * around("y"),
        "size": 0.78 * 2 ** (0.5 * around("size")),
        "yaw": (yaw + yaw_range * around("yaw") + 180) % 360 - 180,
        "pitch": pitch + pitch_range * variation * draw("pitch"),
        "roll": 25 * around("roll"),
        "light_azimuth": -40 + 70 * around("light_azimuth"),
        "light_elevation": 45 + 25 * around("light_elevation"),
        "albedo": 0.95 - 0.3 * variation * draw("albedo"),
        "background": [choice[k] for k in kind],
        "background_mean": 0.3 + 0.4 * draw("background_mean"),
        "background_contrast": low + (high - low) * draw("background_contrast"),
        "background_seed": (bits(_STREAM, seed, stream, index, "background_seed") >> np.uint64(2)).astype(
            np.int64
        ),
        "variation": np.full(n, float(variation)),
    }
    return pd.DataFrame({name: columns[name] for name in COLUMNS})


def check_int(name: str, value: object, least: int, most: int = 2**63 - 1) -> None:
    """Raise CornetError unless `value` is an integer from `least` to `most`."""
    whole = isinstance(value, int | np.integer) and not isinstance(value, bool)
    if not whole or not least <= value <= most:  # type: ignore[operator]
        raise CornetError(
            f"{name}={value!r} must be a whole number from {least} to {most}; give one of these."
        )

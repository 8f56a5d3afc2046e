"""Parameters of HCNN layers: a published good network, and the space of which random members are drawn.

Parameters of an area:

    channels, size          number and size of the filters in pixels
    filter_seed             0 to 4: one of five random banks
    min_out, max_out        limits of the output of the filters; None: no limit
    pool, power             window and power of the Lp pool, which halves the map
    window, stretch, threshold, remove_mean     of the divisive normalisation

The input has the last row alone. Source: Bergstra, Yamins, Cox 2013 (ICML), three layers; the fourth layer has the
space of the third. Imports no PyTorch.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from cornet.errors import CornetError
from cornet.models.cornet.layout import area_layout
from cornet.sizes import MAX_CHANNELS, check_positive, check_positive_int, is_seed

__all__ = ["INPUT", "NORM", "Parameters", "check_parameters", "hcnn_member", "published"]

Parameters = dict[str, dict[str, Any]]
"""{"input" or area: {parameter: value}}."""

INPUT = "input"
NAMES = tuple(spec.name for spec in area_layout(4))

NORM = ("window", "stretch", "threshold", "remove_mean")
"""Parameters of a divisive normalisation."""
PUBLISHED = (
    # channels, size, pool, power, window, stretch, threshold
    (64, 3, 7, 1, 5, 0.1, 1),
    (128, 5, 5, 1, 7, 1, 1),
    (256, 5, 7, 10, 3, 10, 1),
    (256, 3, 3, 1, 3, 1, 1),  # ours: the published network has three layers
)

ODD = (3, 5, 7, 9)
SPACE = {
    "size": ODD,
    "filter_seed": (0, 1, 2, 3, 4),
    "min_out": (None, 0),
    "max_out": (None, 1),
    "pool": ODD,
    "power": (1, 2, 10),
    "window": ODD,
    "stretch": (0.1, 1, 10),
    "threshold": (0.1, 1, 10),
    "remove_mean": (False, True),
}
CHANNELS = ((16, 32, 64), (16, 32, 64, 128), (16, 32, 64, 128, 256), (16, 32, 64, 128, 256))


def published() -> Parameters:
    """A published good network for face verification (three layers), and a fourth layer."""
    found: Parameters = {INPUT: {"window": 9, "stretch": 10, "threshold": 1, "remove_mean": False}}
    for name, (channels, size, pool, power, window, stretch, threshold) in zip(NAMES, PUBLISHED, strict=True):
        found[name] = {
            "channels": channels,
            "size": size,
            "filter_seed": 0,
            "min_out": 0,
            "max_out": None,
            "pool": pool,
            "power": power,
            "window": window,
            "stretch": stretch,
            "threshold": threshold,
            "remove_mean": False,
        }
    return found


def hcnn_member(seed: int, index: int) -> Parameters:
    """Draw a member of the space: each parameter independently and uniformly from its list.

    seed: names a sequence of members; index: the member's position in it, from 0. The same numbers give the same
    member. Raises CornetError for numbers out of range.
    """
    for word, value in (("filter_seed", seed), ("member", index)):
        if not is_seed(value):
            raise CornetError(f"{word}={value!r} must be a whole number, 0 to {2**32 - 1}.")
    rng = np.random.default_rng((seed, index))
    found: Parameters = {INPUT: {key: drawn(rng, SPACE[key]) for key in NORM}}
    for name, channels in zip(NAMES, CHANNELS, strict=True):
        found[name] = {"channels": drawn(rng, channels)}
        found[name].update({key: drawn(rng, values) for key, values in SPACE.items()})
    return found


def drawn(rng: np.random.Generator, values: tuple[Any, ...]) -> Any:
    """One of the values, each as likely."""
    return values[int(rng.integers(len(values)))]


def check_parameters(changes: Mapping[str, Mapping[str, Any]]) -> None:
    """Raise CornetError for unknown areas and parameters, and for values out of range."""
    known = published()
    for area, values in changes.items():
        if area not in known:
            raise CornetError(f"layers names {area!r}, which is unknown; choose from {', '.join(known)}.")
        for key, value in values.items():
            word = f"layers.{area}.{key}"
            if key not in known[area]:
                raise CornetError(f"{word} is unknown; choose from {', '.join(known[area])}.")
            check_value(word, key, value)


def check_value(word: str, key: str, value: Any) -> None:
    """Raise CornetError for the value of a parameter that is out of range."""
    if key in ("channels", "size", "pool", "window"):
        check_positive_int(word, value, MAX_CHANNELS)
        if key != "channels" and value % 2 == 0:
            raise CornetError(
                f"{word}={value} must be odd, as windows are centred on a pixel; add or subtract 1."
            )
    elif key == "filter_seed" and not is_seed(value):
        raise CornetError(f"{word}={value!r} must be a whole number, 0 to {2**32 - 1}.")
    elif key in ("power", "stretch", "threshold"):
        check_positive(word, value)
        if key == "power" and value < 1:
            raise CornetError(f"{word}={value} must be at least 1; 1 is a sum, and a large power a maximum.")
    elif key == "remove_mean" and not isinstance(value, bool):
        raise CornetError(f"{word}={value!r} must be true or false.")
    elif key in ("min_out", "max_out") and (
        isinstance(value, bool) or not isinstance(value, int | float | None)
    ):
        raise CornetError(f"{word}={value!r} must be a number, or null for no limit.")

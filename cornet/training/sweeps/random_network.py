"""Draw compact networks at random, similar to the BaseNets of 2018, whose search was not published.

In a configuration, `${cornet.draw:<number>,<argument>}` is an argument of the network with that number.
"""

from functools import lru_cache
from typing import Any

import numpy as np
from omegaconf import OmegaConf

from cornet.errors import CornetError

__all__ = ["MOST_PARAMETERS", "draw_network"]

MOST_PARAMETERS = 2_000_000
"""Limit with ten classes: less than a tenth of CORnet-S."""

TRIALS = 1000


@lru_cache(maxsize=256)
def _drawn(draw: int, most_parameters: int) -> dict[str, Any]:
    import torch

    from cornet.models import create_model

    rng = np.random.default_rng(draw)
    for _ in range(TRIALS):
        found = _one(rng)
        with torch.device("meta"):  # does not allocate weights
            net = create_model("cornet_s", num_classes=10, **found)
        if sum(p.numel() for p in net.parameters()) <= most_parameters:
            return found
    raise CornetError(
        f"draw={draw}: no network of at most {most_parameters:,} parameters was drawn in {TRIALS} trials; "
        "choose another draw."
    )


def draw_network(draw: int, most_parameters: int = MOST_PARAMETERS) -> dict[str, Any]:
    """Return arguments for `create_model("cornet_s", ...)`. most_parameters: limit for a network with ten classes.

    draw: 0, 1, 2, ...; the seed of NumPy's generator. Drawn independently: width 1/16 to 1/2 (uniform in log2), 1
    to 6 steps each in V2, V4 and IT, bottleneck 1 to 6, hard or soft gate, two or three convolutions (with three, the
    loop re-enters at the first or second), with or without skip, one of four norms, and four or five areas. Networks
    that are too large are drawn again. Raises CornetError unless draw is a whole number from 0.
    """
    if isinstance(draw, bool) or not isinstance(draw, int) or draw < 0:
        raise CornetError(f"draw={draw} must be a whole number, 0 or more; each number is a network.")
    found = _drawn(draw, most_parameters)
    return {**found, "times": dict(found["times"])}


def _one(rng: np.random.Generator) -> dict[str, Any]:
    convolutions = int(rng.choice([2, 3]))
    loop = int(rng.choice([1, 2]))
    return {
        "width": round(float(2 ** rng.uniform(-4, -1)), 3),
        "times": {area: int(rng.integers(1, 7)) for area in ("V2", "V4", "IT")},
        "bottleneck": int(rng.choice([1, 2, 3, 4, 6])),
        "gate": str(rng.choice(["hard", "soft"])),
        "convolutions": convolutions,
        "loop": loop if convolutions == 3 else None,
        "skip": bool(rng.choice([True, False])),
        "norm": str(rng.choice(["per_step", "shared", "shared_affine", "group"])),
        "areas": int(rng.choice([4, 5])),
    }


def _resolve(draw: int, argument: str) -> Any:
    found = draw_network(draw)
    if argument not in found:
        raise CornetError(
            f"${{cornet.draw:{draw},{argument}}}: {argument} is not drawn; choose from {', '.join(found)}."
        )
    return found[argument]


OmegaConf.register_new_resolver("cornet.draw", _resolve, replace=True)

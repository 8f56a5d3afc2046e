"""Features and targets for the tests of solution times."""

from typing import Any

import numpy as np


def made_up(images: int = 200, features: int = 30) -> dict[str, Any]:
    """Five bins of two states: the later tells the four objects apart better, and better where `ease` is high."""
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 4, images)
    ease = rng.uniform(0, 1.5, images)
    early, late = (
        rng.normal(size=(images, features)) + (gain * ease)[:, None] * rng.normal(size=(4, features))[labels]
        for gain in (0.3, 2)
    )
    return {
        "features": [early, early, early, late, late],
        "labels": np.array(["animal", "boat", "car", "chair"])[labels],
        "target_ost": np.where(ease > 0.2, 160 - 30 * ease + rng.normal(size=images), np.nan),
        "threshold_i1": 0.5 + rng.random(images),
        "time_bin_start": [70, 80, 90, 100, 110],
    }

"""Write class folders of images: one colour per class, with noise."""

from pathlib import Path

import numpy as np
from PIL import Image

CHANNELS = {"red": 0, "green": 1, "blue": 2}


def colours(folder: Path, names=tuple(CHANNELS)) -> Path:
    """train/<class> with 12 and val/<class> with 8 images of 40 x 32 pixels; returns the folder."""
    rng = np.random.default_rng(0)
    for part, count in (("train", 12), ("val", 8)):
        for name in names:
            place = folder / part / name
            place.mkdir(parents=True)
            for number in range(count):
                image = rng.integers(0, 120, (32, 40, 3))
                image[..., CHANNELS[name]] += rng.integers(0, 60)
                Image.fromarray(image.astype(np.uint8)).save(place / f"{number}.png")
    return folder

"""Made-up stimuli, for tests of recording."""

import hashlib

import numpy as np
import pandas as pd

from cornet.stimuli.stimulus_set import StimulusSet


class ArrayPictures:
    """Pictures in memory; counts how often one was looked at."""

    def __init__(self, images: np.ndarray) -> None:
        self.images, self.looks = images, 0
        self.identity = hashlib.sha256(images.tobytes() + repr(images.shape).encode()).hexdigest()

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> np.ndarray:
        self.looks += 1
        return self.images[index]


def stimuli(count: int = 12, height: int = 40, width: int = 48, seed: int = 0, degrees=None) -> StimulusSet:
    images = np.random.default_rng(seed).integers(0, 256, (count, height, width, 3)).astype(np.uint8)
    table = pd.DataFrame({"stimulus_id": [f"s{i:03}" for i in range(count)]})
    return StimulusSet("made-up", table, ArrayPictures(images), degrees)

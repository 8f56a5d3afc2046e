"""Images of your own in cornet's training: bars at eight orientations.

cd examples
python ../train.py data=own data._target_=own_images.Bars +data.count=512 brain=none
"""

from collections.abc import Sequence

import numpy as np
import torch

from cornet.stimuli.samples import InMemory, Key, Sample

ORIENTATIONS = 8


class Bars:
    """Bars in noise; the class is the orientation. count: images of a split. size: pixels per side."""

    name, views, in_memory = "bars", ("center",), True
    mean, std = (0.5, 0.5, 0.5), (0.2, 0.2, 0.2)  # per channel, of images from 0 to 1

    def __init__(self, count: int = 512, size: int = 64) -> None:
        self.count, self.size = count, size
        self.classes = [f"{180 * k / ORIENTATIONS:g} degrees" for k in range(ORIENTATIONS)]

    def train(self) -> "Split":
        return Split(self.draw(seed=0))

    def val(self) -> "Split":
        return Split(self.draw(seed=1), views=True)

    def draw(self, seed: int) -> np.ndarray:
        """Return images (image, y, x) uint8; image i shows orientation i modulo 8."""
        numbers = np.random.default_rng(seed)
        y, x = np.mgrid[: self.size, : self.size] - self.size / 2
        angles = np.pi * (np.arange(self.count) % ORIENTATIONS) / ORIENTATIONS
        across = x * np.sin(angles)[:, None, None] - y * np.cos(angles)[:, None, None]
        bars = 0.4 * (np.abs(across) < self.size / 16)
        noise = 0.3 + 0.05 * numbers.standard_normal(bars.shape)
        return (255 * np.clip(bars + noise, 0, 1)).astype(np.uint8)


class Split(InMemory):
    """Training images are (3, y, x); validation images have one view: (1, 3, y, x)."""

    def __init__(self, images: np.ndarray, views: bool = False) -> None:
        self.images, self.views = images, views

    def __getitems__(self, keys: Sequence[Key]) -> list[Sample]:
        index = [key.index for key in keys]
        images = torch.from_numpy(self.images[index])[:, None].expand(-1, 3, -1, -1)
        images = images[:, None] if self.views else images
        return [Sample(image, k % ORIENTATIONS, k) for image, k in zip(images, index, strict=True)]

"""Rendered objects where each object is a class: which one of the eight cars, not only that it is a car."""

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from cornet.errors import CornetError, check_choice
from cornet.files import cache_folder
from cornet.hashing import code_version
from cornet.stimuli.objects.categories import CATEGORIES, OBJECTS
from cornet.stimuli.objects.image_cache import Cache
from cornet.stimuli.objects.latents import check_int, draw_latents
from cornet.stimuli.objects.rendering import RENDERER_VERSION, render
from cornet.stimuli.shift import check_shift
from cornet.stimuli.two_tasks.labelled import ShiftedImages, ShownImages

__all__ = ["RenderedExemplars"]

PER_CATEGORY = 8


class RenderedExemplars:
    """Greyscale renderings of objects, each of which is a class; an ImageSource with a third split, `test`.

    train_images, val_images, test_images: numbers of images. Each object has the same number of images, or one more.
    categories: names of categories; default: all but faces. size, variation, seed, shift, flip, cache: as in
    `cornet.stimuli.objects.RenderedObjects`, of which it shows other images.

    Raises CornetError for invalid arguments.
    """

    name = "exemplars"
    views: tuple[str, ...] = ("center",)
    in_memory = True
    mean = (0.50, 0.50, 0.50)
    std = (0.19, 0.19, 0.19)

    def __init__(
        self,
        *,
        train_images: int = 2048,
        val_images: int = 512,
        test_images: int = 512,
        categories: Sequence[str] | None = None,
        size: int = 64,
        variation: float = 0.5,
        seed: int = 0,
        shift: float = 0.0625,
        flip: bool = True,
        cache: str | os.PathLike[str] | bool | None = None,
    ) -> None:
        self.counts = {"train": train_images, "val": val_images, "test": test_images}
        for split, count in self.counts.items():
            check_int(f"{split}_images", count, 1)
        chosen = [one for one in CATEGORIES if one != "face"] if categories is None else list(categories)
        for category in chosen:
            check_choice("categories", category, CATEGORIES)
        if not chosen or len(set(chosen)) < len(chosen):
            raise CornetError(
                f"categories={chosen} must name one category or more, each once; choose from {', '.join(CATEGORIES)}."
            )
        check_shift(shift)
        self.categories = chosen
        self.classes = [name for category in chosen for name in OBJECTS[category]]
        self.size, self.variation, self.seed, self.shift, self.flip = size, variation, seed, shift, flip
        folder = None if cache is False else cache_folder()
        self.cache = Cache(folder if isinstance(cache, bool) or cache is None else Path(cache).expanduser())
        self._images: dict[str, np.ndarray] = {}
        render(self.latents("train").iloc[:0], size=size)

    def latents(self, split: str) -> pd.DataFrame:
        """Latents of the images of "train", "val" or "test", one row each, the classes in turn."""
        check_choice("split", split, self.counts)
        count, cycle = self.counts[split], len(CATEGORIES) * PER_CATEGORY
        cycles = -(-count // len(self.classes))
        rows = draw_latents(
            cycles * cycle, stream=f"exemplars {split}", seed=self.seed, variation=self.variation
        )
        return rows[rows["category_name"].isin(self.categories)].iloc[:count].reset_index(drop=True)

    def images(self, split: str) -> np.ndarray:
        """The images of a split, before they are shifted, (image, size, size) uint8."""
        if split not in self._images:
            latents = self.latents(split)
            self._images[split] = self.cache.images(
                self.parameters(split),
                (len(latents), self.size, self.size),
                lambda: render(latents, size=self.size, progress=True),
            )
        return self._images[split]

    def labels(self, split: str) -> np.ndarray:
        """The class of each image of a split, (image,) int64."""
        number = {name: k for k, name in enumerate(self.classes)}
        return self.latents(split)["object_name"].map(number).to_numpy(np.int64)

    def parameters(self, split: str) -> dict[str, object]:
        """Everything that the pixels of a split depend on: the cache key."""
        return {
            "renderer": RENDERER_VERSION,
            "code": code_version(
                "cornet.stimuli.objects.rendering", "cornet.stimuli.objects.latents", __name__
            ),
            "exemplars": [split, self.counts[split], self.seed, self.variation, self.size, *self.categories],
        }

    def train(self) -> ShiftedImages:
        """Training images, (3, size, size), each shifted and mirrored at random."""
        return ShiftedImages(
            self.images("train"),
            self.labels("train"),
            shift=round(self.shift * self.size),
            flip=self.flip,
            seed=self.seed,
        )

    def val(self) -> ShownImages:
        """Validation images, (1, 3, size, size)."""
        return ShownImages(self.images("val"), self.labels("val"))

    def test(self) -> ShownImages:
        """Test images, which are neither trained on nor validated on, (1, 3, size, size)."""
        return ShownImages(self.images("test"), self.labels("test"))

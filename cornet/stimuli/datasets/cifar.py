"""CIFAR-10 and CIFAR-100 (Krizhevsky, 2009): 60,000 images of 32 x 32 pixels, in memory.

source = Cifar(folder, name="cifar10")     # folder holds cifar-10-batches-py/, unpacked from the archive
"""

import os
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor
from torchvision.datasets import CIFAR10, CIFAR100
from torchvision.datasets.utils import check_integrity

from cornet.errors import CornetError, check_choice
from cornet.sizes import check_pixels
from cornet.stimuli.samples import InMemory, Key, Sample
from cornet.stimuli.shift import shift_and_flip

__all__ = ["Cifar", "TrainCifar", "ValCifar"]

READERS: dict[str, type[CIFAR10]] = {"cifar10": CIFAR10, "cifar100": CIFAR100}
SIDE = 32
_AUGMENT = "cornet cifar augmentation"
STATISTICS = {
    "cifar10": ((0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616)),
    "cifar100": ((0.5071, 0.4865, 0.4409), (0.2673, 0.2564, 0.2762)),
}
"""Mean and standard deviation per channel of the training images, scaled to 0..1."""


class Cifar:
    """CIFAR-10 or CIFAR-100; an ImageSource.

    folder: contains cifar-10-batches-py/ or cifar-100-python/, as unpacked from the archive.
    name: "cifar10" or "cifar100".
    size: pixels per side of the network's input; unless 32, images are resized after augmentation.
    pad: number of pixels to pad training images by on each side, before a random crop to 32.
    padding: "mean": the mean colour, which is zero after normalisation, as in He et al. (2016); "reflect": the
        mirrored image.
    flip: mirror half of the training images.
    seed: seed of crops and flips.

    The files are pickles, which can execute code, so torchvision reads them only if their checksums match the
    published ones. Raises CornetError for missing or altered files, and for arguments out of range.
    """

    in_memory = True
    views = ("center",)

    def __init__(
        self,
        folder: str | os.PathLike[str],
        *,
        name: str = "cifar10",
        size: int = SIDE,
        pad: int = 4,
        padding: str = "mean",
        flip: bool = True,
        seed: int = 0,
    ) -> None:
        check_choice("name", name, READERS)
        check_pixels("size", size)
        if not 0 <= pad < SIDE:
            raise CornetError(f"pad={pad} must be from 0 to {SIDE - 1} pixels.")
        check_choice("padding", padding, ("mean", "reflect"))
        if seed < 0:
            raise CornetError(f"seed={seed} must not be negative.")
        self.name = name
        self.size = size
        self.mean, self.std = STATISTICS[name]
        self.pad = pad
        self.padding = padding
        self.flip = flip
        self.seed = seed
        train, val = _read(Path(folder).expanduser(), READERS[name])
        self.classes = list(train.classes)
        self._train, self._val = _arrays(train), _arrays(val)

    def train(self) -> "TrainCifar":
        """Training images, (3, size, size)."""
        return TrainCifar(
            *self._train,
            size=self.size,
            pad=self.pad,
            colour=tuple(round(255 * mean) for mean in self.mean) if self.padding == "mean" else None,
            flip=self.flip,
            seed=self.seed,
        )

    def val(self) -> "ValCifar":
        """Test images, (1, 3, size, size)."""
        return ValCifar(*self._val, size=self.size)


@dataclass(eq=False, repr=False)
class TrainCifar(InMemory):
    """Random crops of padded images, and flips, which depend only on (seed, epoch, index).

    images: (image, 3, 32, 32). colour: padding per channel; None reflects the image.
    """

    images: NDArray[np.uint8]
    labels: NDArray[np.int64]
    size: int
    pad: int
    colour: tuple[int, ...] | None
    flip: bool
    seed: int

    def __getitems__(self, keys: Sequence[Key]) -> list[Sample]:
        shown = shift_and_flip(
            self.images,
            keys,
            stream=_AUGMENT,
            seed=self.seed,
            shift=self.pad,
            flip=self.flip,
            colour=self.colour,
        )
        pixels = _resize(torch.from_numpy(shown), self.size)
        return [
            Sample(image, int(self.labels[key[0]]), key[0]) for image, key in zip(pixels, keys, strict=True)
        ]


@dataclass(eq=False, repr=False)
class ValCifar(InMemory):
    """Unchanged images (image, 3, 32, 32), in one view."""

    images: NDArray[np.uint8]
    labels: NDArray[np.int64]
    size: int

    def __getitems__(self, keys: Sequence[Key]) -> list[Sample]:
        index = np.array([key[0] for key in keys], dtype=np.int64)
        pixels = _resize(torch.from_numpy(self.images[index]), self.size)[:, None]
        return [Sample(pixels[i], int(self.labels[k]), int(k)) for i, k in enumerate(index)]


def _resize(pixels: Tensor, size: int) -> Tensor:
    if size == SIDE:
        return pixels
    return F.interpolate(pixels, size=(size, size), mode="bilinear", antialias=True)


def _arrays(data: CIFAR10) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """torchvision's (image, y, x, 3) -> (image, 3, y, x), and labels."""
    images = np.ascontiguousarray(np.asarray(data.data, dtype=np.uint8).transpose(0, 3, 1, 2))
    return images, np.asarray(data.targets, dtype=np.int64)


def _read(folder: Path, reader: type[CIFAR10]) -> tuple[CIFAR10, CIFAR10]:
    _check_files(folder, reader)
    with warnings.catch_warnings():
        # NumPy 2.4.0 to 2.4.4 warn about dtype flags in the published files.
        warnings.simplefilter("ignore", np.exceptions.VisibleDeprecationWarning)
        return reader(str(folder), train=True), reader(str(folder), train=False)


def _check_files(folder: Path, reader: type[CIFAR10]) -> None:
    """Raise CornetError for missing and altered files; torchvision's own check names neither file nor remedy."""
    base, archive = folder / reader.base_folder, folder / reader.filename
    remedy = f"download {reader.filename} from the CIFAR page of the University of Toronto and unpack it in {folder}"
    if not base.is_dir():
        if archive.is_file():
            remedy = f"unpack {reader.filename}"
        raise CornetError(f"{folder} has no folder {reader.base_folder}; {remedy}.")
    files = [*reader.train_list, *reader.test_list, [reader.meta["filename"], reader.meta["md5"]]]
    for name, md5 in files:
        path = base / name
        if not path.is_file():
            raise CornetError(f"{name} is missing in {base}; {remedy}.")
        if not check_integrity(str(path), md5):
            raise CornetError(
                f"{path} differs from the published file (its MD5 sum is not {md5}); {remedy} again."
            )

"""ClickMe (Linsley et al. 2019; Fel et al. 2022): ImageNet photographs with maps of what people find important.

    data = ClickMe(folder, split="train")        # folder holds train-0, train-1, ..., with or without .tfrecords
    data[Key(17, epoch=3)]                        # Sample; targets: "map" (size, size) and "map_token"

Each record holds `image` (JPEG, 256 x 256, colour), `heatmap` (JPEG, 256 x 256, grey) and `label` (0 to 999).
"""

import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import simplejpeg
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from cornet.errors import CornetError, check_choice
from cornet.files import file_error
from cornet.sizes import check_pixels
from cornet.stimuli.datasets.importance_maps import evaluation_map, training_map
from cornet.stimuli.datasets.tfrecords import parse_example, read_record, record_index
from cornet.stimuli.geometry import random_box, random_generator, resize_crop
from cornet.stimuli.samples import Key, Sample

__all__ = ["ClickMe", "ClickMeItem", "decode_item", "evaluation_image"]

SIDE = 256
CLASSES = 1000


class ClickMeItem(NamedTuple):
    """One record: image (256, 256, 3) uint8, heatmap (256, 256) uint8, class label."""

    image: NDArray[np.uint8]
    heatmap: NDArray[np.uint8]
    label: int


class ClickMe:
    """The images and maps of a split; an ImageDataset.

    folder: holds the files train-<number> or val-<number>, numbered from 0, with or without the ending .tfrecords.
    split: "train" or "val". Training images are random crops, mirrored at random, and their maps are those of the same
        crop, 0 to 1. Validation images are shown whole, (1, 3, size, size), with the evaluation map, 0 to 255.
    size: pixels per side. seed: of crops and flips, which depend only on (seed, epoch, index).

    Samples have the targets "map" (size, size) float32 and "map_token": 1, or 0 where the crop's map is blank.
    Raises CornetError for missing, truncated and damaged files; the checksum of a record's data is verified when it is
    read, those of the lengths at once.
    """

    def __init__(
        self, folder: str | os.PathLike[str], *, split: str = "train", size: int = 224, seed: int = 0
    ) -> None:
        check_choice("split", split, ("train", "val"))
        check_pixels("size", size)
        if seed < 0:
            raise CornetError(f"seed={seed} must not be negative.")
        self.split, self.size, self.seed = split, size, seed
        self.files = _shards(Path(folder).expanduser(), split)
        records = [record_index(path) for path in self.files]
        self._file = np.repeat(np.arange(len(records)), [len(one) for one in records])
        self._records = np.concatenate(records)

    def __len__(self) -> int:
        return len(self._records)

    def item(self, index: int) -> ClickMeItem:
        """Read and decode a record."""
        path = self.files[self._file[index]]
        place, length = map(int, self._records[index])
        try:
            return decode_item(read_record(path, place, length))
        except ValueError as error:
            raise CornetError(
                f"the record at byte {place} of {path} is not an image of ClickMe ({error}); download it again."
            ) from None

    def __getitem__(self, key: Key) -> Sample:
        index, epoch = key
        image, heatmap, label = self.item(index)
        grey = torch.from_numpy(heatmap).float()
        if self.split == "val":
            pixels = evaluation_image(image, self.size).round().to(torch.uint8)[None]
            shown, token = evaluation_map(grey, self.size), float(heatmap.max() > heatmap.min())
        else:
            rng = random_generator(self.seed, epoch, index)
            box = random_box(SIDE, SIDE, rng)
            flip = bool(rng.random() < 0.5)
            pixels = resize_crop(image, box, self.size, flip=flip)
            shown, token = training_map(grey, box, self.size, flip=flip)
        return Sample(pixels, label, index, targets={"map": shown.numpy(), "map_token": token})

    def __getitems__(self, keys: Sequence[Key]) -> list[Sample]:
        return [self[key] for key in keys]


def decode_item(data: bytes) -> ClickMeItem:
    """Decode the data of a record. Raises ValueError, with the reason, for missing, damaged or oddly sized parts."""
    example = parse_example(data)
    parts = [example.get(name, [None])[:1] for name in ("image", "heatmap", "label")]
    image, heatmap, label = (part[0] if part else None for part in parts)
    if not isinstance(image, bytes) or not isinstance(heatmap, bytes) or not isinstance(label, int):
        raise ValueError("it lacks an image, a heatmap or a label")
    if not 0 <= label < CLASSES:
        raise ValueError(f"its label {label} is not 0 to {CLASSES - 1}")
    return ClickMeItem(_jpeg(image, "RGB"), _jpeg(heatmap, "GRAY")[..., 0], label)


def evaluation_image(image: NDArray[np.uint8], size: int = 224) -> Tensor:
    """Resize (256, 256, 3) to (3, size, size) float32, 0 to 255, bilinearly, without antialiasing."""
    pixels = torch.from_numpy(image).permute(2, 0, 1)[None].float()
    return F.interpolate(pixels, size=(size, size), mode="bilinear", align_corners=False)[0]


def _jpeg(data: bytes, colours: str) -> NDArray[np.uint8]:
    """Decode with libjpeg's fast DCT, as TensorFlow does: the exact one differs by 0.8 grey levels on average."""
    height, width, *_ = simplejpeg.decode_jpeg_header(data)
    if (height, width) != (SIDE, SIDE):
        raise ValueError(f"an image has {width} x {height} pixels instead of {SIDE} x {SIDE}")
    return simplejpeg.decode_jpeg(data, colours, strict=True, fastdct=True)


def _shards(folder: Path, split: str) -> list[Path]:
    """The files of a split in the order of their numbers. Raises CornetError unless they are 0, 1, 2, ..."""
    name = re.compile(rf"{split}-(0|[1-9][0-9]{{0,5}})(\.tfrecords?)?")
    try:
        found = {int(m[1]): path for path in folder.iterdir() if (m := name.fullmatch(path.name))}
    except OSError as error:
        raise file_error(error) from None
    missing = next(number for number in range(len(found) + 1) if number not in found)
    if missing < max(found, default=0) or not found:
        raise CornetError(
            f"{folder} has no file {split}-{missing}; download ClickMe's files, which are numbered from 0."
        )
    return [found[number] for number in sorted(found)]

"""Convert the THINGS ventral stream spiking dataset (TVSD), Papale et al. 2025.

Each monkey's THINGS_normMUA.mat is MATLAB 7.3, that is HDF5 with reversed axes:

| dataset | axes in HDF5 | content |
|---|---|---|
| train_MUA | 22248 x 1024 (image, channel) | one presentation each |
| test_MUA_reps | 30 x 100 x 1024 (repetition, image, channel) | |
| SNR | days x 1024 | averaged over days |
| SNR_max, oracle | 1024 values | |
| reliab | pairs of repetitions x 1024 | averaged over pairs |

_logs/things_imgs.mat gives the order of the images: train_imgs and test_imgs have the fields class and things_path,
references to text.

Values are multi-unit activity, normalised by day and averaged over 100 ms (V1 25-125, V4 50-150, IT 75-175 ms after
onset). Their time bin is given as 70-170 ms, as in Brain-Score. Neuroids are in Brain-Score's order, V1, V4, IT, and
numbered from 0 in each monkey; the coordinate channel is the position in the file.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cornet.brain.data.convert.base import NOMINAL_BIN, Block, Options, converter
from cornet.brain.data.convert.sources.hdf5_source import SourceFile, rows_that_fit
from cornet.brain.data.convert.sources.images import FolderImages
from cornet.errors import CornetError

__all__ = ["THINGS_BELOW", "Tvsd", "need_things_images", "open_tvsd"]

CHANNELS = 1024
REGIONS = {
    "monkeyF": {"V1": (0, 512), "V4": (832, 1024), "IT": (512, 832)},
    "monkeyN": {"V1": (0, 512), "V4": (512, 768), "IT": (768, 1024)},
}
"""Channels of each region: first, and last + 1."""

DEGREES = 18.0
RESPONSES = "THINGS_normMUA.mat of TVSD (MATLAB 7.3)"
NAMES = "things_imgs.mat of TVSD (MATLAB 7.3)"
THINGS_BELOW = ("object_images", "images_THINGS/object_images", "THINGS/object_images", "images", "Images")
"""Folders inside --images where THINGS's folders of concepts may be."""


@converter(
    "tvsd",
    summary="macaque V1, V4, IT: 2 monkeys, 2,048 sites of multi-unit activity, 22,248 + 100 x 30 THINGS images",
    files="a folder with monkeyF/ and monkeyN/, each with THINGS_normMUA.mat (200 MB) and _logs/things_imgs.mat; "
    "images: THINGS (4.7 GB)",
    licence="that in its file LICENSE (responses); THINGS images: for research only",
    access="free (responses); terms of use (images)",
    address="https://gin.g-node.org/paolo_papale/TVSD; images: https://osf.io/jum2f/",
    citation="Papale, Wang, Self, Roelfsema 2025 (Neuron 113:539)",
)
def open_tvsd(options: Options) -> "Tvsd":
    """Open the recordings of the monkeys that are in the folder."""
    folder = options.path
    monkeys = [name for name in REGIONS if (folder / name / "THINGS_normMUA.mat").is_file()]
    if not monkeys:
        raise CornetError(
            f"{folder} has neither monkeyF/THINGS_normMUA.mat nor monkeyN/THINGS_normMUA.mat; give the folder of TVSD "
            "that contains them."
        )
    return Tvsd(folder, monkeys, need_things_images(options.images), options.degrees or DEGREES)


def need_things_images(images: Path | None) -> Path:
    """Return the folder of THINGS's images. Raises CornetError if the user gave none."""
    if images is None:
        raise CornetError(
            "the images are missing: give the folder object_images of THINGS as --images (images_THINGS.zip at "
            "https://osf.io/jum2f/, whose licence states the password)."
        )
    return images


class Tvsd:
    """Implements `cornet.brain.data.convert.base.Recording`."""

    name = "papale2025"
    time_bins = (NOMINAL_BIN,)
    late: Sequence[str] = ()
    notes: Sequence[str] = ()

    def __init__(self, folder: Path, monkeys: Sequence[str], images: Path, degrees: float) -> None:
        self.files = [folder / monkey / "THINGS_normMUA.mat" for monkey in monkeys]
        lists = [_image_list(folder, monkey) for monkey in monkeys]
        self.paths = [*self.files, *dict.fromkeys(lists)]
        tables = [_read_images(path) for path in lists]
        for path, table in zip(lists[1:], tables[1:], strict=True):
            if not table.equals(tables[0]):
                raise CornetError(
                    f"{path} lists other images than {lists[0]}, but all monkeys saw the same; fetch both again."
                )
        self.stimuli = tables[0].assign(degrees=degrees)
        self.images = FolderImages(images, self.stimuli["filename"].tolist(), THINGS_BELOW)
        self.rule = {"fixed_by": "split", "subject_by": "subject", "keep_above": {"reliability": 0.3}}
        train = (self.stimuli["split"] == "train").to_numpy()
        self.train, self.test = int(train.sum()), int((~train).sum())
        checked = [self._neuroids(path, monkey) for path, monkey in zip(self.files, monkeys, strict=True)]
        self.repetitions = checked[0][1]
        self.dtype = np.result_type(*(dtype for _, _, dtype in checked))
        for path, (_, repetitions, _) in zip(self.files, checked, strict=True):
            if repetitions != self.repetitions:
                raise CornetError(
                    f"{path} has {repetitions} repetitions, but {self.files[0]} has {self.repetitions}; fetch both."
                )
        self.neuroids = pd.concat([table for table, _, _ in checked], ignore_index=True)
        ids = self.stimuli["stimulus_id"].to_numpy()
        self.presentations = pd.DataFrame(
            {
                "stimulus_id": np.r_[ids[: self.train], np.repeat(ids[self.train :], self.repetitions)],
                "repetition": np.r_[
                    np.zeros(self.train, np.int64), np.tile(np.arange(self.repetitions), self.test)
                ],
            }
        )

    def blocks(self, limit: int) -> Sequence[Block]:
        """Ranges of training images, and of test images with all repetitions, for each monkey."""
        found = []
        row = CHANNELS * self.dtype.itemsize
        for position, path in enumerate(self.files):
            columns = range(position * CHANNELS, (position + 1) * CHANNELS)
            for name, number, repeated, start in (
                ("train_MUA", self.train, 1, 0),
                ("test_MUA_reps", self.test, self.repetitions, self.train),
            ):
                step = rows_that_fit(limit // 6, row * repeated, f"an image of {name}")
                for first in range(0, number, step):
                    last = min(first + step, number)
                    rows = np.arange(start + first * repeated, start + last * repeated)
                    found.append(Block(rows, columns, (path, name, first, last)))
        return found

    def read(self, block: Block, limit: int) -> tuple[NDArray[Any], Mapping[str, NDArray[Any]]]:
        path, name, first, last = block.source
        order = self.neuroids["channel"].to_numpy()[block.columns.start : block.columns.stop]
        with SourceFile(path, RESPONSES) as file:
            file.check_chunks(name, limit // 4)
            dataset = file.dataset(name)
            if name == "train_MUA":
                values = dataset[first:last]
            else:
                values = dataset[:, first:last].swapaxes(0, 1).reshape(-1, CHANNELS)
        return values[:, order, None], {}

    def _neuroids(self, path: Path, monkey: str) -> tuple[pd.DataFrame, int, np.dtype[Any]]:
        """Check a monkey's file. Returns its neuroids, its number of repetitions, and its dtype."""
        with SourceFile(path, RESPONSES) as file:
            train = file.dataset("train_MUA", "f", (self.train, CHANNELS))
            test = file.dataset("test_MUA_reps", "f", (None, self.test, CHANNELS))
            quality = {
                "SNR": _mean(file, "SNR"),
                "SNR_max": file.column("SNR_max", CHANNELS),
                "reliability": _mean(file, "reliab"),
                "oracle": file.column("oracle", CHANNELS),
            }
            repetitions, dtype = test.shape[0], np.result_type(train.dtype, test.dtype)
        channels = np.concatenate([np.arange(*span) for span in REGIONS[monkey].values()])
        regions = np.repeat(list(REGIONS[monkey]), [last - first for first, last in REGIONS[monkey].values()])
        table = pd.DataFrame({"neuroid_id": np.arange(CHANNELS), "region": regions, "subject": monkey})
        table["channel"] = channels
        for name, values in quality.items():
            table[name] = values[channels]
        return table, repetitions, dtype


def _image_list(folder: Path, monkey: str) -> Path:
    """Return the path of things_imgs.mat."""
    places = [
        folder / monkey / "_logs",
        folder / monkey,
        folder / "_logs",
        folder,
        folder / "monkeyF" / "_logs",
    ]
    for place in places:
        if (path := place / "things_imgs.mat").is_file():
            return path
    raise CornetError(
        f"{places[0]} has no things_imgs.mat, which gives the order of the images; fetch it from _logs of TVSD."
    )


def _read_images(path: Path) -> pd.DataFrame:
    """Return the stimuli in the order of the responses: training images, then test images."""
    parts = []
    with SourceFile(path, NAMES) as file:
        for split in ("train", "test"):
            names = [text.replace("\\", "/") for text in file.texts(f"{split}_imgs/things_path")]
            classes = file.texts(f"{split}_imgs/class")
            if len(names) != len(classes):
                raise file.wrong(f"has {len(names)} paths and {len(classes)} classes of {split} images")
            ids = [Path(name).stem for name in names]
            parts.append(
                pd.DataFrame({"stimulus_id": ids, "filename": names, "object_name": classes, "split": split})
            )
    return pd.concat(parts, ignore_index=True)


def _mean(file: SourceFile, name: str) -> NDArray[np.float64]:
    """Return the mean of a measure over its other axis, (channel,)."""
    values = file.small(name, "f")
    if values.shape == (CHANNELS,) or values.size == CHANNELS:
        return values.ravel().astype(np.float64)
    if values.ndim != 2 or values.shape[1] != CHANNELS:
        raise file.wrong(f"has {name} of {file.describe(name)}, not any x {CHANNELS}")
    return values.mean(axis=0, dtype=np.float64)

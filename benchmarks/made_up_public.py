"""Made-up data of the public benchmarks' sizes, as files where `cornet fetch` puts the real ones.

| data | stimuli | responses |
|---|---|---|
| majajhong2015 | 3,200 PNG, colour, 256 px | 256 neuroids (V4 88, IT 168) x 148,480 presentations x 1 bin, float32 |
| freemanziemba2013 | 135 PNG, grey, 320 px | 205 neuroids (V1 102, V2 103) x 300 bins of 1 ms x 2,700 presentations |
| rajalingham2018 | 2,160 PNG, colour, 256 px | 585,511 choices between two of 24 objects |
| kar2019 | 1,320 in HDF5, float64, 256 px, two of them twice | i1 and solution times |

Numbers, names and order of the axes are those of the published files; where those could not be looked up (pixels and
colours of the first and third set, type of the second's responses, storage of the last) this table says what was taken.
Pictures are rendered objects, shifted so that no two are alike; neuroids answer to their coarse pattern of light with
spikes, so that a network can predict a part of them. Nothing here is about brains.
"""

import hashlib
import io
import zipfile
from collections.abc import Callable, Iterable
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import NDArray
from PIL import Image

from cornet.brain.data.public import fetching
from cornet.brain.data.public.listing import PublicData, public_data
from cornet.stimuli.objects import draw_latents, render

__all__ = ["SETS", "make_public"]

SETS = ("majajhong2015", "freemanziemba2013", "rajalingham2018", "kar2019")

FEWEST = 60
"""Stimuli that each set keeps, however small the share: fewer give no splits by object."""

POOL = 256
"""Pictures that are rendered; all stimuli are shifts of these."""

KAR = 1320
OBJECTS_24 = 24


def make_public(
    folder: Path, sets: Iterable[str] = SETS, fraction: float = 1.0, seed: int = 0
) -> dict[str, int]:
    """Write these data sets into `folder`/data, a cache folder.

    fraction: share of the stimuli (and of the human choices), at least 60 of each set; repetitions, neuroids and bins
    stay. Returns the number of different stimuli by set.
    """
    pool = render(draw_latents(POOL, seed=seed, variation=0.5), 256, antialias=1)
    made = {}
    for name in sets:
        data = public_data(name)
        target = fetching.data_folder(data, folder / "data" / name)
        target.mkdir(parents=True, exist_ok=True)
        made[name] = _MAKERS[name](data, target, pool, fraction, np.random.default_rng(seed))
        for file in data.files:
            if file.sha1 is not None:
                # Its hash is another than the published one: the note that it was found right is written instead.
                fetching._write_record(target / file.name, fetching._state(file, (target / file.name).stat()))
    return made


def _majajhong2015(
    data: PublicData, target: Path, pool: NDArray[np.uint8], fraction: float, rng: np.random.Generator
) -> int:
    """A fifth of the stimuli with 28 presentations each, the others with 51: 148,480 in all."""
    count = _share(3200, fraction)
    objects = min(64, max(2, count // 20))  # a split's tenth must hold each
    pictures = [_shifted(pool, number, 0) for number in range(count)]
    ids = _ids("hvm", count)
    object_name = np.array([f"object{number % objects:02d}" for number in range(count)])
    category = np.array([f"category{number % objects // 8}" for number in range(count)])
    _write_stimuli(
        data,
        target,
        pictures,
        "RGB",
        {"image_id": ids, "object_name": object_name, "category_name": category},
    )
    repetitions = np.where(np.arange(count) < count // 5, 28, 51)
    stimulus = np.repeat(np.arange(count), repetitions)
    repetition = np.concatenate([np.arange(number) for number in repetitions])
    order = rng.permutation(len(stimulus))
    stimulus, repetition = stimulus[order], repetition[order]
    rates = 5 * _rates(pictures, 256, rng)
    values = np.empty((256, len(stimulus), 1), np.float32)
    for neuroid in range(256):
        values[neuroid, :, 0] = rng.poisson(rates[stimulus, neuroid])
    regions = ["V4"] * 88 + ["IT"] * 168
    coordinates = {
        "category_name": ("presentation", category[stimulus]),
        "image_id": ("presentation", ids[stimulus]),
        "object_name": ("presentation", object_name[stimulus]),
        "repetition": ("presentation", repetition),
        **_neuroids(regions),
        "time_bin_start": ("time_bin", [70]),
        "time_bin_end": ("time_bin", [170]),
    }
    _write_assembly(data, target, values, ("neuroid", "presentation", "time_bin"), coordinates)
    return count


def _freemanziemba2013(
    data: PublicData, target: Path, pool: NDArray[np.uint8], fraction: float, rng: np.random.Generator
) -> int:
    """20 repetitions; a rate that rises at 50 ms, and at most one spike a bin."""
    count = _share(135, fraction)
    margin = ((32, 32), (32, 32))
    pictures = [np.pad(_shifted(pool, number, 1), margin, mode="wrap") for number in range(count)]
    ids = _ids("texture", count)
    kind = np.array([("noise", "texture")[number % 2] for number in range(count)])
    family = np.arange(count) // 2 % 15
    _write_stimuli(
        data, target, pictures, "L", {"image_id": ids, "texture_type": kind, "texture_family": family}
    )
    stimulus, repetition = np.repeat(np.arange(count), 20), np.tile(np.arange(20), count)
    chance = 0.02 * _rates(pictures, 205, rng)
    course = np.where(np.arange(300) >= 50, 1.0, 0.2).astype(np.float32)[:, None]
    values = np.empty((205, 300, len(stimulus)), np.float32)
    for neuroid in range(205):
        drawn = rng.random((300, len(stimulus)), np.float32)
        values[neuroid] = drawn < course * chance[stimulus, neuroid].astype(np.float32)
    coordinates = {
        "texture_type": ("presentation", kind[stimulus]),
        "texture_family": ("presentation", family[stimulus]),
        "image_id": ("presentation", ids[stimulus]),
        "repetition": ("presentation", repetition),
        **_neuroids(["V1"] * 102 + ["V2"] * 103),
        "time_bin_start": ("time_bin", np.arange(300)),
        "time_bin_end": ("time_bin", np.arange(1, 301)),
    }
    _write_assembly(data, target, values, ("neuroid", "time_bin", "presentation"), coordinates)
    return count


def _rajalingham2018(
    data: PublicData, target: Path, pool: NDArray[np.uint8], fraction: float, rng: np.random.Generator
) -> int:
    """People are right more often on some images, and about some distractors, than on others."""
    count = _share(2160, fraction)
    trials = round(585_511 * count / 2160)
    objects = np.array([f"object{number:02d}" for number in range(OBJECTS_24)])
    truth, ids = np.arange(count) % POOL % OBJECTS_24, _ids("objectome", count)
    pictures = [_shifted(pool, number, 2) for number in range(count)]
    _write_stimuli(data, target, pictures, "RGB", {"image_id": ids, "truth": objects[truth]})
    image = rng.integers(0, count, trials)
    distractor = (truth[image] + rng.integers(1, OBJECTS_24, trials)) % OBJECTS_24
    right = rng.random(trials) < 0.6 + 0.4 * rng.random((count, OBJECTS_24))[image, distractor]
    coordinates = {
        "image_id": ("presentation", ids[image]),
        "sample_obj": ("presentation", objects[truth[image]]),
        "dist_obj": ("presentation", objects[distractor]),
    }
    choice = objects[np.where(right, truth[image], distractor)]
    _write_assembly(data, target, choice, ("presentation",), coordinates)
    return count


def _kar2019(
    data: PublicData, target: Path, pool: NDArray[np.uint8], fraction: float, rng: np.random.Generator
) -> int:
    """A file of all 1,320 places; those beyond a share show the first ones again."""
    different = _share(KAR - 2, fraction)
    ost = np.where(rng.random(KAR) < 0.9, rng.uniform(80, 200, KAR), np.nan)
    with h5py.File(target / "dataset.h5", "w") as file:
        images = file.create_dataset("images", (KAR, 3, 256, 256), "f8")
        for row in range(KAR):
            images[row] = np.repeat(_shifted(pool, row % different, 3).T[None], 3, axis=0)
        file["obj"] = (np.arange(KAR) % different % POOL % 10 + 1.0)[
            None
        ]  # shifts of a picture show one object
        file["i1"] = rng.uniform(0.5, 3, (1, KAR))
        file["ost"] = ost[None]
    return different


_MAKERS: dict[str, Callable[..., int]] = {
    "majajhong2015": _majajhong2015,
    "freemanziemba2013": _freemanziemba2013,
    "rajalingham2018": _rajalingham2018,
    "kar2019": _kar2019,
}


def _share(whole: int, fraction: float) -> int:
    return min(whole, max(FEWEST, round(whole * fraction)))


def _shifted(pool: NDArray[np.uint8], number: int, stream: int) -> NDArray[np.uint8]:
    """A picture (256, 256) that no other number, and no other set, has."""
    turn = number // POOL
    return np.roll(pool[number % POOL], (17 * turn + 40 * stream, 31 * turn), axis=(0, 1))


def _ids(name: str, count: int) -> NDArray[np.str_]:
    """Hexadecimal digits, as the published ids are: their order is not that of the table."""
    each = (hashlib.sha1(f"{name} {number}".encode(), usedforsecurity=False) for number in range(count))
    return np.array([one.hexdigest() for one in each])


def _rates(pictures: list[NDArray[np.uint8]], neuroids: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """Mean answers (picture, neuroid), about 1: rectified weighted sums of the pictures' light on 8 x 8 fields."""
    side = len(pictures[0]) // 8
    fields = np.array([p.reshape(8, side, 8, side).mean(axis=(1, 3)).ravel() for p in pictures])
    fields = (fields - fields.mean(axis=0)) / fields.std()
    drive = fields @ rng.standard_normal((64, neuroids)) / 8
    return np.maximum(0.05, 1 + drive)


def _neuroids(regions: list[str]) -> dict[str, tuple[str, list[str]]]:
    return {
        "neuroid_id": ("neuroid", [f"site_{number:03d}" for number in range(len(regions))]),
        "region": ("neuroid", regions),
    }


def _write_stimuli(
    data: PublicData, target: Path, pictures: list[NDArray[np.uint8]], mode: str, columns: dict[str, NDArray]
) -> None:
    """The table as older files have it (image_id, image_file_name), and the archive of PNG files."""
    table = pd.DataFrame(columns)
    table["image_file_name"] = [f"{name}.png" for name in table["image_id"]]
    table.to_csv(target / _named(data, ".csv"), index=False)
    with zipfile.ZipFile(target / _named(data, ".zip"), "w") as archive:
        for name, picture in zip(table["image_file_name"], pictures, strict=True):
            file = io.BytesIO()
            Image.fromarray(picture).convert(mode).save(file, "PNG", compress_level=1)
            archive.writestr(name, file.getvalue())


def _write_assembly(
    data: PublicData,
    target: Path,
    values: NDArray,
    dimensions: tuple[str, ...],
    coordinates: dict[str, tuple[str, object]],
) -> None:
    array = xr.DataArray(
        values, coordinates, dimensions, name=data.assembly, attrs={"identifier": data.assembly}
    )
    array.to_netcdf(target / _named(data, ".nc"), engine="h5netcdf")


def _named(data: PublicData, end: str) -> str:
    return next(file.name for file in data.files if file.name.endswith(end))

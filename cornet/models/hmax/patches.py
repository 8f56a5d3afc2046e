"""Patches of C1 that S2 cells of HMAX are tuned to: drawn from images, or read from a file.

patches = learn_patches(images, sizes=(4, 8), per_size=100, seed=0)     # {4: (100, 4, 4, 4), 8: (100, 4, 8, 8)}

Serre, Oliva and Poggio (2007, PNAS 104:6424) used 400 patches of each of the sizes 2, 4, ..., 16 cells, cut from C1
maps of natural images; Serre et al. (2007, IEEE PAMI 29:411) about a thousand in all.
"""

import functools
import io
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from cornet.errors import CornetError
from cornet.models.hmax.cells import BANDS, FILTERS, ORIENTATIONS, Band, complex_cells, simple_cells
from cornet.opening import read_bytes

__all__ = [
    "LUMINANCE",
    "Patches",
    "folder_patches",
    "learn_patches",
    "object_patches",
    "read_patches",
    "save_patches",
]

Patches = dict[int, NDArray[np.float32]]
"""Patches by size s, in cells: (patch, orientation, s, s)."""

LUMINANCE = (0.299, 0.587, 0.114)
"""Share of red, green and blue in grey."""
OBJECTS, OBJECT_PIXELS = 32, 128
"""Images of rendered objects for the default patches, and their largest size."""
MOST_FILES = 256
"""Images of a folder from which patches are drawn."""


def learn_patches(
    images: Sequence[ArrayLike],
    sizes: Sequence[int],
    per_size: int | Sequence[int],
    seed: int = 0,
    bands: Sequence[Band] = BANDS["2007"],
) -> Patches:
    """Cut patches from the C1 maps of images: image, band and position are drawn uniformly for each patch.

    images: grey (y, x) or colour (y, x, 3), pixels 0..255. sizes: of the patches, in cells; a patch of size s has s x s
    cells of all orientations, from a band whose map is that large. per_size: number of patches, for all sizes or for
    each. The same arguments give the same patches.

    Raises CornetError if an image is too small for a patch.
    """
    counts = [per_size] * len(sizes) if isinstance(per_size, int) else list(per_size)
    patches = {
        side: np.empty((count, len(ORIENTATIONS), side, side), np.float32)
        for side, count in zip(sizes, counts, strict=True)
    }
    places = [(side, index) for side, count in zip(sizes, counts, strict=True) for index in range(count)]
    draws = np.random.default_rng(seed).random((len(places), 4))
    chosen = (draws[:, 0] * len(images)).astype(int)
    filters = {n: torch.from_numpy(FILTERS["2007"](n)).float()[:, None] for band in bands for n in band.sizes}
    for number in np.unique(chosen):
        grey = as_grey(np.asarray(images[number]))
        with torch.no_grad():
            maps = [
                complex_cells([simple_cells(grey, filters[n]) for n in band.sizes], band)[0].numpy()
                for band in bands
            ]
        for place in np.flatnonzero(chosen == number):
            side, index = places[place]
            patches[side][index] = cut(maps, side, draws[place, 1:], tuple(grey.shape[-2:]))
    return patches


def cut(
    maps: Sequence[NDArray[np.float32]],
    side: int,
    draws: NDArray[np.float64],
    shape: tuple[int, ...],
) -> NDArray[np.float32]:
    """Cut a patch from one of the maps (orientation, y, x) that are large enough.

    draws: of the map, the row and the column, from 0 up to 1. shape: of the image, for the message.
    """
    large = [found for found in maps if min(found.shape[1:]) >= side]
    if not large:
        raise CornetError(
            f"a patch of size {side} does not fit into an image of {shape[0]} x {shape[1]} pixels, whose largest C1 "
            f"map has {maps[0].shape[1]} x {maps[0].shape[2]} cells; give larger images, or smaller sizes."
        )
    source = large[int(draws[0] * len(large))]
    top, left = (int(where * (n - side + 1)) for where, n in zip(draws[1:], source.shape[1:], strict=True))
    return source[:, top : top + side, left : left + side]


def as_grey(image: NDArray[Any]) -> Tensor:
    """Convert pixels (y, x) or (y, x, 3), 0..255, to (1, 1, y, x), 0..1."""
    pixels = image.astype(np.float32) / 255
    return torch.from_numpy(pixels @ np.array(LUMINANCE, np.float32) if pixels.ndim == 3 else pixels)[
        None, None
    ]


@functools.lru_cache(maxsize=4)
def object_patches(
    sizes: tuple[int, ...], per_size: tuple[int, ...], seed: int, size: int, bands: tuple[Band, ...]
) -> Patches:
    """Draw patches from rendered objects, for images of `size` pixels per side. Others: as in `learn_patches`."""
    from cornet.stimuli.objects import draw_latents, render

    images = render(draw_latents(OBJECTS, stream="hmax"), max(16, min(size, OBJECT_PIXELS)))
    return learn_patches(list(images), sizes, per_size, seed, bands)


def folder_patches(
    folder: Path,
    sizes: Sequence[int],
    per_size: Sequence[int],
    seed: int,
    size: int,
    bands: Sequence[Band],
) -> Patches:
    """Draw patches from the images in a folder and all folders below it, up to `MOST_FILES` drawn with the seed.

    Their short side is resized to `size` pixels, and the centre is taken. Others: as in `learn_patches`.
    Raises CornetError if there are no images, and for one that cannot be read.
    """
    # Imported here, because an exported network has its patches, and may run where there is no decoder of images.
    from cornet.stimuli.datasets.class_folders import EXTENSIONS
    from cornet.stimuli.decode import BadImage, decode_image
    from cornet.stimuli.geometry import center_view

    files = sorted(path for path in folder.rglob("*") if path.suffix.lower() in EXTENSIONS and path.is_file())
    if not files:
        raise CornetError(
            f"patches={folder} has no images ({', '.join(EXTENSIONS)}); give a folder of images, or a file of patches."
        )
    drawn = np.random.default_rng(seed).permutation(len(files))[:MOST_FILES]
    images = []
    for number in drawn:
        try:
            image = decode_image(read_bytes(files[number]))
        except (OSError, BadImage) as error:
            raise CornetError(f"{files[number]} cannot be read ({error}); replace or remove it.") from None
        images.append(center_view(image, size, size).permute(1, 2, 0).numpy())
    return learn_patches(images, sizes, per_size, seed, bands)


def save_patches(path: str | os.PathLike[str], patches: Mapping[int, ArrayLike]) -> None:
    """Write patches to a .npz file: an array `patches_<size>` (patch, orientation, size, size) for each size."""
    arrays: dict[str, Any] = {f"patches_{side}": np.asarray(patches[side], np.float32) for side in patches}
    np.savez(path, **arrays)


def read_patches(path: Path) -> Patches:
    """Read patches from a .npz file of `save_patches`, or from a MATLAB file (.mat) as the public ones.

    The latter has a cell array `patches`, whose entries are (y * x * orientation, patch) in MATLAB's order (y runs
    fastest), and `patchSizes`, whose columns are y, x, orientations, patches.
    Raises CornetError for a file that cannot be read, or that holds something else.
    """
    try:
        data = io.BytesIO(read_bytes(path))
        if path.suffix == ".mat":
            return checked(patches_of_matlab(data), path)
        with np.load(data, allow_pickle=False) as arrays:
            return checked(
                {int(name.removeprefix("patches_")): arrays[name].astype(np.float32) for name in arrays}, path
            )
    except CornetError:
        raise
    except Exception as error:  # the readers of both formats raise errors of many kinds
        raise CornetError(
            f"patches={path} cannot be read ({type(error).__name__}: {error}); give a .npz file of save_patches, a "
            "MATLAB file with patches and patchSizes, or a folder of images."
        ) from None


def patches_of_matlab(data: io.BytesIO) -> Patches:
    """Convert the content of a MATLAB file; see `read_patches`."""
    from scipy.io import loadmat

    content = loadmat(data, variable_names=("patches", "patchSizes"))
    found = {}
    for flat, shape in zip(content["patches"].ravel(), content["patchSizes"].T.astype(int), strict=True):
        turned = np.reshape(flat, tuple(shape[:4]), order="F").transpose(3, 2, 0, 1)
        found[int(shape[0])] = np.ascontiguousarray(turned, np.float32)
    return found


def checked(patches: Mapping[int, ArrayLike], source: object) -> Patches:
    """Return patches by ascending size. Raises CornetError for none, and for arrays that are not patches."""
    found = {side: np.asarray(patches[side], np.float32) for side in sorted(patches)}
    for side, array in found.items():
        shape = (len(ORIENTATIONS), side, side)
        if array.ndim != 4 or array.shape[1:] != shape or not len(array) or not np.isfinite(array).all():
            raise CornetError(
                f"patches={source} has an array of shape {array.shape} for size {side}, which must be finite numbers "
                f"(patch, {', '.join(map(str, shape))}); correct it."
            )
    if not found:
        raise CornetError(f"patches={source} has no patches; give at least one of one size.")
    return found

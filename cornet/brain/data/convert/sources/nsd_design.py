"""Read the order of the images of the Natural Scenes Dataset (NSD) from nsd_expdesign.mat, and its pictures.

| variable | shape | content (all from 1) |
|---|---|---|
| masterordering | 1 x 30000 | which of a subject's 10,000 images each trial shows |
| subjectim | 8 x 10000 | number, among the 73,000, of each image of each subject |
| sharedix | 1 x 1000 | numbers of the images that all subjects share |
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.io import loadmat

from cornet.brain.data.convert.base import Images
from cornet.brain.data.convert.sources.hdf5_source import check_file
from cornet.brain.data.convert.sources.images import BrickImages, FolderImages
from cornet.errors import CornetError

__all__ = ["ADDRESS", "Design", "find_one", "nsd_images", "read_design"]

ADDRESS = "https://naturalscenesdataset.org"
PICTURES = 73_000
MAX_BYTES = 2**26


class Design:
    """The order of images. All numbers are from 0 here."""

    def __init__(
        self, trials: NDArray[np.int64], images: NDArray[np.int64], shared: NDArray[np.int64]
    ) -> None:
        self.trials, self.images, self.shared = trials, images, shared

    def shown(self, subject: int, trials: int) -> NDArray[np.int64]:
        """Return the image, among the 73,000, of each of the first `trials` trials of a subject (from 0)."""
        return self.images[subject, self.trials[:trials]]


def read_design(path: Path) -> Design:
    """Read nsd_expdesign.mat. Raises CornetError for any other file."""
    check_file(path, "NSD (nsd_expdesign.mat)")
    names = ("masterordering", "subjectim", "sharedix")
    try:
        if path.stat().st_size > MAX_BYTES:
            raise ValueError(f"it has {path.stat().st_size:,} bytes")
        content = loadmat(path, variable_names=list(names))
    except Exception as error:  # damaged files make scipy raise anything
        raise _wrong(
            path, f"cannot be read as a MATLAB 5 file ({' '.join(str(error).split()):.200})"
        ) from None
    if missing := [name for name in names if name not in content]:
        raise _wrong(path, f"has no {missing[0]}")
    trials, images, shared = (np.asarray(content[name]) for name in names)
    for name, values, limit in zip(names, (trials, images, shared), (None, PICTURES, PICTURES), strict=True):
        top = images.shape[-1] if limit is None else limit
        if values.dtype.kind not in "uif" or not values.size or values.min() < 1 or values.max() > top:
            raise _wrong(path, f"has {name} that is not numbers from 1 to {top:,}")
    if images.ndim != 2 or trials.size != trials.shape[-1] or shared.size != shared.shape[-1]:
        raise _wrong(
            path, f"has masterordering {trials.shape}, subjectim {images.shape}, sharedix {shared.shape}"
        )
    return Design(*(values.astype(np.int64) - 1 for values in (trials.ravel(), images, shared.ravel())))


def nsd_images(images: Path | None, root: Path, numbers: Sequence[int]) -> Images:
    """Return the pictures with these numbers (from 0) from nsd_stimuli.hdf5, or from files named nsd_03049.png.

    images: the user's option, a file or a folder; None: the published place below `root`.
    """
    if images is None:
        images = root / "nsddata_stimuli" / "stimuli" / "nsd" / "nsd_stimuli.hdf5"
        if not images.exists() and (root / images.name).exists():
            images = root / images.name
        if not images.exists():
            raise CornetError(
                f"the images are missing: give nsd_stimuli.hdf5 as --images (nsddata_stimuli/stimuli/nsd at {ADDRESS}, "
                "37 GB)."
            )
    if images.is_dir() and (images / "nsd_stimuli.hdf5").is_file():
        images = images / "nsd_stimuli.hdf5"
    if images.is_dir():
        return FolderImages(images, [f"nsd_{number:05d}.png" for number in numbers])
    return BrickImages(images, "imgBrick", numbers, "nsd_stimuli.hdf5 of NSD")


def find_one(root: Path, places: Sequence[str], what: str) -> Path:
    """Return the first place below `root` that exists. Raises CornetError if none does."""
    for place in places:
        if (path := root / place).exists():
            return path
    raise CornetError(f"{root} has no {places[0]}, which is needed ({what}); fetch it from {ADDRESS}.")


def _wrong(path: Path, found: str) -> CornetError:
    return CornetError(
        f"{path} {found}; expected nsd_expdesign.mat of NSD, so fetch it again from {ADDRESS}."
    )

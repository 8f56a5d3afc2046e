"""HMAX as a network with areas: S1, C1, S2, C2, and a linear decoder, which alone is trained."""

import contextlib
import itertools
import logging
import os
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor, nn

from cornet.errors import CornetError, check_choice
from cornet.models.area_table import Area
from cornet.models.base import Network
from cornet.models.cornet.gabor import per_channel
from cornet.models.hmax.cells import (
    BANDS,
    FILTERS,
    ORIENTATIONS,
    complex_cells,
    simple_cells,
    squared_distances,
    usable_bands,
    usable_sizes,
)
from cornet.models.hmax.patches import (
    LUMINANCE,
    Patches,
    checked,
    folder_patches,
    object_patches,
    read_patches,
)
from cornet.models.image_settings import ImageSettings
from cornet.models.registry import register
from cornet.sizes import check_pixels, check_positive, check_positive_int, is_seed
from cornet.stimuli.normalisation import IMAGENET_MEAN, IMAGENET_STD

__all__ = ["HMAX", "Tuning"]

log = logging.getLogger("cornet")

Tuning = Literal["gaussian", "euclidean"]
SMALLEST = 1e-12
"""Squared distance below which its root has no gradient (which would be infinite at 0)."""
MOST = {"sizes": 100, "per_size": 100_000}
SIZES = (2, 4, 6, 8, 10, 12, 14, 16)


@register(
    "hmax",
    summary="fixed filters, maxima, patches",
    paper="Riesenhuber & Poggio 1999 (Nat. Neurosci.); Serre et al. 2007 (IEEE PAMI)",
    fixed=True,
)
class HMAX(Network):
    """S1 (oriented filters), C1 (maxima), S2 (distances to patches), C2 (best match), for images of any shape.

    Only the linear decoder is trained; a batch norm without weights standardises its inputs, whose standard deviations
    are a hundredth and less. Filters and patches are buffers, so checkpoints hold them.

    num_classes: outputs of the decoder.
    version: "2007" (16 sizes of Gabors in 8 bands; patches), or "1999" (12 sizes of second derivatives of Gaussians in
        4 bands; S2 cells are the 256 arrangements of four orientations in 2 x 2 cells, tuned to responses of 1). The
        latter follows the papers and a memo from memory; no numbers to compare it with were available.
    tuning: "gaussian", exp(-d^2 / 2) of the distance d to a patch, or "euclidean", d itself.
    published: C2 takes the smallest response of Gaussian tuning, the worst match, as the public code does. False: the
        largest, the best match. With euclidean tuning both take the smallest distance.
    patches: {size: (patch, orientation, size, size)}; a file (see `cornet.models.hmax.patches.read_patches`); a folder
        of images to cut patches from; None: they are cut from rendered objects.
    sizes, per_size, patch_seed: of the patches that are cut: sizes in cells, number for all or for each size, seed.
    size: pixels of the shorter side of the images. Below 111 (87 for 1999), bands with filters above a third of it and
        patches above a tenth are left out, which the log says.
    mean, std: normalisation of the images (pixels 0..1), per channel, which is undone: S1 depends on pixels.
    in_channels: 3, converted to grey by .299, .587, .114; or 1. Grey images take the average of `mean` and of `std`.

    Areas, and the region that each stands for: S1, V1 (simple cells); C1, V2 (its cells are complex cells of V1 or V2);
    S2, V4; C2, IT. The papers name no region between C1 and S2, and count S2 and C2 as V4 and posterior IT. States,
    after time and batch:

        S1  (size * orientation, y, x)   at all pixels; only computed for all sizes at once if states are asked for
        C1  (orientation, cell)          the maps of all bands, flattened and joined, as they differ in size
        S2  (patch, band)                the best match over the positions of a band; `s2_map` gives all positions
        C2  (patch)                      the best match over bands

    In half precision and under autocast, the areas are computed in float32.

    Sources: Riesenhuber and Poggio 1999 (Nature Neuroscience 2:1019); Serre, Wolf, Bileschi, Riesenhuber and Poggio
    2007 (IEEE PAMI 29:411). Raises CornetError for invalid arguments.
    """

    luminance: Tensor
    black: Tensor

    def __init__(
        self,
        num_classes: int = 1000,
        version: str = "2007",
        tuning: Tuning = "gaussian",
        published: bool = False,
        patches: Mapping[int, Any] | str | os.PathLike[str] | None = None,
        sizes: Sequence[int] = SIZES,
        per_size: int | Sequence[int] = 125,
        patch_seed: int = 0,
        size: int = 224,
        mean: Sequence[float] = IMAGENET_MEAN,
        std: Sequence[float] = IMAGENET_STD,
        in_channels: int = 3,
    ):
        version = str(version)  # 2007 is a number in YAML
        check_choice("version", version, BANDS)
        check_choice("tuning", tuning, ("gaussian", "euclidean"))
        check_positive_int("num_classes", num_classes)
        check_pixels("size", size)
        if in_channels not in (1, 3):
            raise CornetError(f"in_channels={in_channels!r} must be 3 (RGB) or 1 (grey).")
        areas = [Area("S1", 1, 50, 100, region="V1"), Area("C1", 1, 70, 100, region="V2")]
        areas += [Area("S2", 1, 90, 100, region="V4"), Area("C2", 1, 100, 100, region="IT")]
        super().__init__(areas, num_classes, in_channels)
        self.version, self.tuning, self.published = version, tuning, bool(published)
        self.bands = usable_bands(BANDS[version], size)
        self.add_grey(mean, std)
        for n in itertools.chain(*(band.sizes for band in self.bands)):
            self.add_fixed(f"filters_{n}", FILTERS[version](n)[:, None])
        if version == "1999":
            if patches is not None:
                raise CornetError(
                    "patches are fixed in version='1999'; leave them out, or choose version='2007'."
                )
            found = {2: arrangements()}
        else:
            found = self.open_patches(patches, sizes, per_size, patch_seed, size)
        self.patch_counts = {side: len(array) for side, array in found.items()}
        for side, array in found.items():
            self.add_fixed(f"patches_{side}", array)
        if len(self.bands) < len(BANDS[version]) and not is_meta():
            text = "images of %d pixels are small: hmax uses filters up to %d pixels and patches of %s cells"
            log.warning(text, size, max(self.bands[-1].sizes), ", ".join(map(str, self.patch_counts)))
        self.image_settings = ImageSettings(size, tuple(mean), tuple(std))
        self.decoder = self.make_decoder(self.num_classes)

    def make_decoder(self, num_classes: int) -> nn.Module:
        cells = sum(self.patch_counts.values())
        norm = nn.BatchNorm1d(cells, affine=False)
        return nn.Sequential(OrderedDict(norm=norm, linear=nn.Linear(cells, num_classes)))

    def add_fixed(self, name: str, values: np.ndarray) -> None:
        """Add a buffer of the default dtype."""
        self.register_buffer(name, torch.empty(values.shape))
        if not is_meta():  # meta tensors have no data
            getattr(self, name).copy_(torch.from_numpy(np.asarray(values)))

    def add_grey(self, mean: Sequence[float], std: Sequence[float]) -> None:
        """Add the buffers that convert normalised images to grey, 0..1."""
        means, stds = (
            np.array(per_channel(word, list(values), self.in_channels))
            for word, values in (("mean", mean), ("std", std))
        )
        for deviation in stds.tolist():
            check_positive("std", deviation)
        shares = np.array(LUMINANCE if self.in_channels == 3 else (1.0,))
        self.add_fixed("luminance", (shares * stds)[:, None, None])
        self.add_fixed("black", np.array(shares @ means))

    def open_patches(
        self,
        patches: Mapping[int, Any] | str | os.PathLike[str] | None,
        sizes: Sequence[int],
        per_size: int | Sequence[int],
        seed: int,
        size: int,
    ) -> Patches:
        """The patches, without those that are too large for images of `size` pixels."""
        bands = BANDS[self.version]
        path = Path(patches).expanduser() if isinstance(patches, str | os.PathLike) else None
        if isinstance(patches, Mapping) or (path is not None and not path.is_dir()):
            found = read_patches(path) if path is not None else checked(patches, "the mapping")  # type: ignore[arg-type]
            return {side: found[side] for side in usable_sizes(list(found), bands, size)}
        counts = check_drawn(sizes, per_size, seed)
        used = usable_sizes(list(counts), bands, size)
        counts = {side: counts[side] for side in used}
        if is_meta():
            return {
                side: np.empty((n, len(ORIENTATIONS), side, side), np.float32) for side, n in counts.items()
            }
        chosen = tuple(counts), tuple(counts.values()), seed, size, self.bands
        return object_patches(*chosen) if path is None else folder_patches(path, *chosen)

    def recorded_arguments(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """Sizes and numbers in place of patches from a file or folder, as the state dict has the patches."""
        if arguments.get("patches") is None:
            return dict(arguments)
        counts = {"sizes": list(self.patch_counts), "per_size": list(self.patch_counts.values())}
        return {**arguments, "patches": None, **counts}

    def grey(self, images: Tensor) -> Tensor:
        """Grey pixels (batch, 1, y, x), 0..1, of normalised images (batch, channel, y, x), in float32 or wider."""
        wide = torch.promote_types(images.dtype, torch.float32)
        return (images.to(wide) * self.luminance.to(wide)).sum(1, keepdim=True) + self.black.to(wide)

    def s1_maps(self, grey: Tensor, band: int) -> list[Tensor]:
        """S1 (batch, orientation, y, x) of each filter size of a band (from 0); grey: pixels (batch, 1, y, x)."""
        return [
            simple_cells(grey, getattr(self, f"filters_{n}").to(grey.dtype)) for n in self.bands[band].sizes
        ]

    def c1_maps(self, grey: Tensor) -> list[Tensor]:
        """C1 (batch, orientation, y, x) of each band; grey: pixels (batch, 1, y, x)."""
        return [complex_cells(self.s1_maps(grey, number), band) for number, band in enumerate(self.bands)]

    def s2_map(self, c1: Tensor, size: int) -> Tensor:
        """S2 (batch, patch, y, x) of all patches of a size at all positions of a C1 map (batch, orientation, y, x)."""
        return self.tuned(self.squared(c1, size))

    def squared(self, c1: Tensor, size: int) -> Tensor:
        patches = getattr(self, f"patches_{size}").to(c1.dtype)
        return squared_distances(c1, patches, patches if self.version == "1999" else None)

    def tuned(self, squared: Tensor) -> Tensor:
        """Responses of S2 cells to squared distances."""
        return (-squared / 2).exp() if self.tuning == "gaussian" else squared.clamp(min=SMALLEST).sqrt()

    def best_matches(self, c1: Tensor) -> Tensor:
        """S2 (batch, patch) at the best position of a C1 map (batch, orientation, y, x)."""
        worst = self.published and self.tuning == "gaussian"
        squared = [self.squared(c1, size) for size in self.patch_counts]
        best = [found.amax((2, 3)) if worst else found.amin((2, 3)) for found in squared]
        return self.tuned(torch.cat(best, dim=1))

    def over_bands(self, matches: Tensor, dim: int) -> Tensor:
        """C2: the best (or, as published, the worst) of the matches in the bands, which are along `dim`."""
        return matches.amax(dim) if self.tuning == "gaussian" and not self.published else matches.amin(dim)

    def run_areas(self, images: Tensor, steps: Mapping[str, int], keep_all: bool) -> dict[str, list[Tensor]]:
        s1: list[Tensor] = []
        c1: list[Tensor] = []
        s2: list[Tensor] = []
        plain = (
            contextlib.nullcontext() if images.is_meta else torch.autocast(images.device.type, enabled=False)
        )
        with plain:
            grey = self.grey(images)
            for number, band in enumerate(self.bands):
                maps = self.s1_maps(grey, number)
                cells = complex_cells(maps, band)
                s2.append(self.best_matches(cells))
                if keep_all:
                    s1 += maps
                    c1.append(cells.flatten(2))
            matches = torch.stack(s2, dim=-1)
            c2 = self.over_bands(matches, -1)
        if not keep_all:
            return {"C2": [c2.to(images.dtype)]}
        states = {"S1": torch.cat(s1, dim=1), "C1": torch.cat(c1, dim=2), "S2": matches, "C2": c2}
        return {name: [state.to(images.dtype)] for name, state in states.items()}

    def extra_repr(self) -> str:
        return f"version={self.version}, tuning={self.tuning}, published={self.published}, patches={self.patch_counts}"


def is_meta() -> bool:
    """Whether tensors are made on the meta device, so that they have no data."""
    return torch.get_default_device().type == "meta"


def arrangements() -> np.ndarray:
    """All choices of an orientation for each of 2 x 2 cells: (256, orientation, 2, 2) of zeros and ones."""
    count = len(ORIENTATIONS)
    chosen = np.array(list(itertools.product(range(count), repeat=4)))
    return np.eye(count)[chosen].transpose(0, 2, 1).reshape(-1, count, 2, 2)


def check_drawn(sizes: Sequence[int], per_size: int | Sequence[int], seed: int) -> dict[int, int]:
    """Return the number of patches by ascending size. Raises CornetError for sizes, numbers or a seed that are none."""
    counts = list(per_size) if isinstance(per_size, Sequence) else [per_size] * len(sizes)
    if not sizes or len(counts) != len(sizes) or len(set(sizes)) < len(sizes):
        raise CornetError(
            f"sizes={list(sizes)} and per_size={per_size} must be different sizes and one number for all or for each; "
            "give for example sizes=[4,8] and per_size=100."
        )
    for word, values in (("sizes", sizes), ("per_size", counts)):
        for value in values:
            check_positive_int(word, value, MOST[word])
    if not is_seed(seed):
        raise CornetError(f"patch_seed={seed!r} must be a whole number, from 0 to {2**32 - 1}.")
    return {int(side): int(count) for side, count in sorted(zip(sizes, counts, strict=True))}

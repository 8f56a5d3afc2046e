"""Read maps of activity from a bundle: each image was shown at every position of a grid over the neurons' field.

The presentations of such a bundle have two coordinates besides stimulus_id, the position along y and along x, and
bundle.json names them: {"map_by": ["grid_y", "grid_x"]}. y grows downwards and x rightwards in the image, and positions
are evenly spaced over the whole image: at position (y, x), that place of the image falls on the field.
"""

import dataclasses
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cornet.brain.data.bundle import Bundle
from cornet.brain.data.responses import Responses, make_responses, missing_notes
from cornet.errors import CornetError

__all__ = ["LEAST_IMAGES", "MAP_BY", "Maps", "load_maps"]

MAP_BY = ("grid_y", "grid_x")
"""Names of the coordinates in bundles that cornet makes."""

LEAST_IMAGES = 3
"""One is left out, and two are fitted."""


@dataclass(frozen=True, eq=False)
class Maps:
    """mean: (image, y, x, neuroid), over trials. repetitions: (repetition, image, y, x, neuroid), NaN where missing;
    None without trials. weights: the same shape, as in `Responses`. stimulus_ids: (image,). y, x: coordinates of the
    positions. notes: what is left out, with counts."""

    mean: NDArray[np.float64] = field(repr=False)
    repetitions: NDArray[Any] | None = field(repr=False)
    weights: NDArray[np.uint16] | None = field(repr=False)
    stimulus_ids: NDArray[np.str_]
    neuroid_ids: NDArray[np.str_] = field(repr=False)
    y: NDArray[np.float64]
    x: NDArray[np.float64]
    time_bin: tuple[float, float] | None = None
    notes: tuple[str, ...] = ()


def load_maps(
    bundle: Bundle,
    region: str | None,
    map_by: Sequence[str],
    time_bin: tuple[float, float] | None = None,
    ignore: Sequence[str] = (),
    keep_above: Mapping[str, float] | None = None,
) -> Maps:
    """Arrange the responses of a region as maps. map_by: the coordinates of the position along y and along x.

    Neuroids without a response at some position are left out, and those with constant maps of every image, both with a
    note. Other arguments as in `make_responses`. Raises CornetError for unknown coordinates, positions that are missing
    for an image, fewer than three images, no remaining neuroid, and as `make_responses` does.
    """
    coordinates = bundle.assembly.coords
    for name in map_by:
        if name not in coordinates or coordinates[name].dims != ("presentation",):
            raise CornetError(
                f"{bundle.name} has no presentation coordinate {name!r}, which map_by in bundle.json names; add it, or "
                "correct the name."
            )
    ids, image = np.unique(coordinates["stimulus_id"].values.astype(str), return_inverse=True)
    (ys, y), (xs, x) = (_positions(bundle, name) for name in map_by)
    shape = (len(ids), len(ys), len(xs))
    if len(ids) < LEAST_IMAGES:
        raise CornetError(
            f"{bundle.name} has maps of {len(ids)} image{'' if len(ids) == 1 else 's'}, and leaving one out needs "
            f"{LEAST_IMAGES}; record more images."
        )
    place, places = (image * shape[1] + y) * shape[2] + x, math.prod(shape)
    shown = np.unique(place)
    if len(shown) < places:  # found without an array of all places, which a file could make huge
        gap = np.flatnonzero(shown != np.arange(len(shown)))
        number = int(gap[0]) if len(gap) else len(shown)
        one, row, column = number // (shape[1] * shape[2]), number // shape[2] % shape[1], number % shape[2]
        raise CornetError(
            f"{bundle.name} lacks {places - len(shown):,} of {places:,} positions, such as {map_by[0]}={ys[row]:g}, "
            f"{map_by[1]}={xs[column]:g} of the image {str(ids[one])!r}, but needs every position of a {shape[1]} x "
            f"{shape[2]} grid for every image; add them, or leave out that image."
        )
    # Presentations of one image at one position are the repetitions of a stimulus of its own.
    numbered = bundle.assembly.assign_coords(
        stimulus_id=("presentation", np.char.mod("%09d", place)), image_id=("presentation", ids[image])
    )
    identity = bundle.identity and f"{bundle.identity} maps {' '.join(map_by)}"
    responses = make_responses(numbered, None, region, time_bin, ignore, identity, keep_above=keep_above)
    return _maps(bundle.name, responses, shape, ids, ys, xs)


def _positions(bundle: Bundle, name: str) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Return the positions in order, and that of each presentation. Raises CornetError if they are not numbers."""
    try:
        values = bundle.assembly.coords[name].values.astype(float)
    except (TypeError, ValueError):
        values = np.array([np.nan])
    if not np.isfinite(values).all():
        raise CornetError(
            f"{bundle.name} has values of {name} that are not numbers; write the positions as numbers."
        )
    found, index = np.unique(values, return_inverse=True)
    if len(found) < 2:
        raise CornetError(
            f"{bundle.name} has one value of {name}, but a map needs several positions; add them."
        )
    return found, index


def _maps(
    name: str,
    responses: Responses,
    shape: tuple[int, int, int],
    ids: NDArray[np.str_],
    ys: NDArray[np.float64],
    xs: NDArray[np.float64],
) -> Maps:
    """Sort the rows into maps, and leave out neuroids."""
    order = np.argsort(responses.stimulus_ids.astype(np.int64))
    mean = responses.mean[order].reshape(*shape, -1)
    complete = np.isfinite(mean).all(axis=(0, 1, 2))
    with np.errstate(invalid="ignore"):
        varied = (np.ptp(mean, axis=(1, 2)) > 0).any(axis=0)
    kept = complete & varied
    neuroids = len(kept)
    counted = missing_notes(responses.mean)  # of positions, where this counts neuroids
    notes = [note for note in responses.notes if note not in counted]
    if not complete.all():
        notes.append(
            f"skipped {int((~complete).sum())} of {neuroids} neuroids without responses at some positions"
        )
    if constant := int((complete & ~varied).sum()):
        notes.append(f"skipped {constant} of {neuroids} neuroids whose maps are all constant")
    if not kept.any():
        raise CornetError(
            f"none of the {neuroids} neuroids of {name} has a map that is complete and not constant; check the "
            "responses."
        )
    maps = Maps(
        mean[..., kept],
        None,
        None,
        ids,
        responses.neuroid_ids[kept],
        ys,
        xs,
        responses.time_bin,
        tuple(notes),
    )
    if responses.repetitions is None:
        return maps

    def arranged(values: NDArray[Any]) -> NDArray[Any]:
        return values[:, order].reshape(len(values), *shape, -1)[..., kept]

    weights = None if responses.weights is None else arranged(responses.weights)
    return dataclasses.replace(maps, repetitions=arranged(responses.repetitions), weights=weights)

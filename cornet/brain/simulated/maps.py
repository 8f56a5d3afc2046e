"""Maps of activity of the simulated V1 and V2: every image is shown at every position of a grid."""

import numpy as np
import xarray as xr
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from cornet.brain.cache import cached_arrays
from cornet.brain.data.bundle import Bundle
from cornet.brain.data.map_bundle import MAP_BY
from cornet.brain.simulated.brain import NEUROIDS, REPETITIONS, SIMULATION_VERSION, SimulatedBrain
from cornet.brain.simulated.early import field_centres
from cornet.brain.simulated.spikes import poisson_counts
from cornet.errors import CornetError
from cornet.hashing import digest
from cornet.sizes import check_positive_int

__all__ = ["map_bundle", "map_rates"]

GREY = 128
"""Of the screen around a shifted image."""

SECONDS = 0.1


def map_bundle(
    region: str,
    images: int = 14,
    positions: int = 8,
    trials: int = REPETITIONS,
    brain: SimulatedBrain | None = None,
) -> Bundle:
    """Spike counts of V1 or V2 from 70 to 170 ms while images are shown at a grid of positions, a bundle of maps.

    images: number of stimuli, evenly spaced in those of the brain. positions: per axis, a divisor of its image size.
    trials: presentations of each image at each position. brain: None: the default one.

    A neuroid's map has at (y, x) its response when this place of the image falls on the centre of its field, to within
    half a step of the grid. Raises CornetError as `map_rates`.
    """
    brain = brain or SimulatedBrain()
    check_positive_int("trials", trials)
    rates, chosen = map_rates(region, images, positions, brain)
    places = images * positions**2
    counts = poisson_counts(rates.reshape(places, NEUROIDS), trials, SECONDS, f"{region} maps", brain.seed)
    stimuli = brain.stimuli.subset(chosen)
    image, y, x = np.unravel_index(np.arange(places), (images, positions, positions))
    presentation = {
        "stimulus_id": np.tile(stimuli.ids[image], trials),
        **{name: np.tile(values, trials) for name, values in zip(MAP_BY, (y, x), strict=True)},
        "repetition": np.repeat(np.arange(trials), places),
    }
    neuroid = {
        "neuroid_id": np.array([f"simulated-{region}-{n:02d}" for n in range(NEUROIDS)]),
        "region": np.full(NEUROIDS, region),
        "animal": np.full(NEUROIDS, "simulated"),
    }
    time = {"time_bin_start": np.array([70.0]), "time_bin_end": np.array([170.0])}
    groups = (("presentation", presentation), ("neuroid", neuroid), ("time_bin", time))
    coordinates = {name: (dimension, values) for dimension, group in groups for name, values in group.items()}
    flat = counts.reshape(-1, NEUROIDS, 1).astype(np.float32)
    name = f"simulated-{region}-maps"
    attributes = {"note": "simulated: no measurement of any brain", "simulation_version": SIMULATION_VERSION}
    assembly = xr.DataArray(
        flat, coordinates, ("presentation", "neuroid", "time_bin"), name=name, attrs=attributes
    )
    return Bundle(name, stimuli, assembly, digest(name, stimuli.identity, flat))


def map_rates(
    region: str, images: int, positions: int, brain: SimulatedBrain
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """True rates (image, y, x, neuroid) in spikes/s, and which stimuli of the brain they are of, (image,).

    Raises CornetError for a number of positions that does not divide the image size, for too many images, and for V4
    and IT, whose responses to shifted images are not defined.
    """
    check_positive_int("images", images, brain.images)
    check_positive_int("positions", positions, brain.size)
    if brain.size % positions:
        raise CornetError(
            f"positions={positions} must divide the image size {brain.size}, so that steps are whole pixels; use 8 or "
            "16."
        )
    chosen = np.arange(images) * (brain.images // images)
    own = [brain.images, brain.size, brain.variation, brain.seed]
    key = {"brain": own, "region": region, "images": images, "positions": positions}
    arrays = cached_arrays("simulated", key, lambda: {"rates": _rates(region, chosen, positions, brain)})
    return arrays["rates"], chosen


def _rates(
    region: str, chosen: NDArray[np.int64], positions: int, brain: SimulatedBrain
) -> NDArray[np.float64]:
    """Show the images at more positions than the grid has, and give each neuroid those that fall on its own field."""
    step = brain.size // positions
    x, y = field_centres(region, NEUROIDS, brain.seed)
    # The place (i + .5) / positions of an image is at the centre of the screen if it is shifted by the rest.
    right, down = (np.rint((centre - 0.5) * positions).astype(int) for centre in (x, y))
    most = max(1, int(np.abs([right, down]).max()))
    pad = brain.size + most * step
    places = range(-most, positions + most)
    corners = [pad + round((i + 0.5) * step) - brain.size // 2 for i in places]
    across = (0, 0), (pad, pad), (pad, pad)
    wide = np.pad(brain.stimuli_images(chosen), across, constant_values=GREY)
    windows = sliding_window_view(wide, (brain.size, brain.size), axis=(1, 2))
    screens = windows[:, corners][:, :, corners].reshape(-1, brain.size, brain.size)
    found = brain.respond(screens, region).reshape(len(chosen), len(places), len(places), NEUROIDS)
    rates = np.empty((len(chosen), positions, positions, NEUROIDS))
    for n in range(NEUROIDS):
        # With the place p of an image at the centre, a field at the distance d from the centre sees the place p + d.
        top, left = most - down[n], most - right[n]
        rates[..., n] = found[:, top : top + positions, left : left + positions, n]
    return rates

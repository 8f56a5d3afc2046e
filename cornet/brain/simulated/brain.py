"""The simulated brain: stimuli, responses, choices, and their ground truth."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import NDArray

from cornet.brain.cache import cached_arrays
from cornet.brain.data.bundle import Bundle
from cornet.brain.metrics.solution_times.timing import solution_times
from cornet.brain.regions import REGIONS
from cornet.brain.simulated.early import v1_drive, v2_drive
from cornet.brain.simulated.objects import BIN, EARLY_BINS, TIME_BIN_START, it_drive
from cornet.brain.simulated.observer import choice_probabilities, draw_trials
from cornet.brain.simulated.percept import perceive
from cornet.brain.simulated.shape import v4_drive
from cornet.brain.simulated.spikes import gains, poisson_counts, reliability, target_reliability
from cornet.brain.simulated.stimuli import render_scenes, stimulus_set, table_of
from cornet.brain.simulated.time_course import SolutionTimes, decoded_i1, sensitivity
from cornet.brain.simulated.truths import NeuralTruth
from cornet.errors import CornetError
from cornet.hashing import digest
from cornet.stimuli.objects import CATEGORIES
from cornet.stimuli.objects.latents import check_int
from cornet.stimuli.stimulus_set import StimulusSet

__all__ = ["SIMULATION_VERSION", "SimulatedBrain"]

SIMULATION_VERSION = 1
"""Stored in assemblies. Increment it if responses change; tests/brain/simulated/test_simulated.py detects that."""

NEUROIDS = 60
REPETITIONS = 10
LONG_REPETITIONS = 60
"""Repetitions of the recording for solution times; the first ten are those of the assembly."""

TRIALS = 60
"""Trials per image and distractor category."""

_LEAST_RATE = 4.0
"""Spikes/s for the least effective stimulus (in IT, without a stimulus)."""

_SECONDS = EARLY_BINS * BIN / 1000
_NOTE = "simulated: a check of the pipeline, no measurement of any brain"


@dataclass(frozen=True)
class SimulatedBrain:
    """A simulated brain that responds to rendered objects, generated from a fixed seed.

    images: number of stimuli, a multiple of 64, at least 128. size: pixels per side. variation: of position, size and
    pose, 0 to 1. seed: of images, tuning and spikes. Data are generated on first use, which takes seconds, and cached.
    Rates are scaled over its own stimuli. Raises CornetError for invalid values.
    """

    images: int = 640
    size: int = 64
    variation: float = 0.6
    seed: int = 0

    def __post_init__(self) -> None:
        check_int("images", self.images, 128)
        if self.images % 64:
            raise CornetError(
                f"images={self.images} must be a multiple of 64, so that every object is shown equally often; "
                f"use {round(self.images / 64) * 64}."
            )
        check_int("size", self.size, 32, 1024)
        table_of(1, self.seed, self.variation)

    @cached_property
    def stimuli(self) -> StimulusSet:
        """The stimulus set "simulated-objects", with latents as the table, at 8 degrees."""
        return stimulus_set(self._table, self._data["images"])

    def bundle(self, region: str | None = None) -> Bundle:
        """Spike counts of a region (None: all four) from 70 to 170 ms, in the layout of public data."""
        chosen = REGIONS if region is None else (_checked(region),)
        counts = np.concatenate([self._counts(name) for name in chosen], axis=2)[..., None]
        return self._bundle(
            "-".join(["simulated", *([region] if region else [])]), chosen, counts, [70.0], [170.0]
        )

    def it_over_time(self) -> Bundle:
        """Spike counts of IT in 18 bins of 10 ms from 70 ms, ten repetitions; `bundle("IT")` sums the first ten."""
        counts = self._data["it_spikes"][:REPETITIONS]
        starts = TIME_BIN_START
        return self._bundle("simulated-IT-over-time", ("IT",), counts, starts, starts + BIN)

    def trials(self) -> pd.DataFrame:
        """Choices between two categories: stimulus_id, sample, distractor, choice; one row per trial."""
        return draw_trials(self.choice_probabilities, self._truth, self.stimuli.ids, TRIALS, self.seed)

    def solution_times(self) -> SolutionTimes:
        """The recording for object solution times, with the ground truth of each image."""
        data = self._data
        return SolutionTimes(
            stimuli=self.stimuli,
            labels=self._table["category_name"].to_numpy(dtype=str),
            threshold_i1=sensitivity(self.choice_probabilities, self._truth),
            target_ost=data["target_ost"],
            truth_ost=data["truth_ost"],
            time_bin_start=TIME_BIN_START.copy(),
            spikes=data["it_spikes"],
            rates=data["it_rates"],
        )

    def truth(self, region: str) -> NeuralTruth:
        """Ground truth of a region's neuroids: noiseless rates, reliability, ceiling, best possible score."""
        rates = self._rates(_checked(region))
        return NeuralTruth(rates, reliability(rates, REPETITIONS, _SECONDS))

    def respond(self, images: NDArray[np.uint8], region: str) -> NDArray[np.float64]:
        """True rates of V1 or V2 to any images, (image, neuroid), spikes/s, on the scale of its own stimuli.

        images: (image, y, x) uint8, grey, of the size of its stimuli, whose own rates are those of `truth`. An image
        that drives a neuroid less than all of its own stimuli has a lower rate, but not below 0.

        Raises CornetError for V4 and IT, which respond to the outline and identity of rendered objects, not to pixels,
        and for images of another size or type.
        """
        drives = {"V1": v1_drive, "V2": v2_drive}
        if _checked(region) not in drives:
            raise CornetError(
                f"region={region!r} of the simulated brain responds to rendered objects, not to pixels, so that other "
                "images have no true response; use V1 or V2."
            )
        shown = np.asarray(images)
        if shown.ndim != 3 or shown.shape[1:] != (self.size, self.size) or shown.dtype != np.uint8:
            raise CornetError(
                f"images of shape {shown.shape} and type {shown.dtype} must be (image, {self.size}, {self.size}) and "
                "uint8, grey as the simulated stimuli; resize them."
            )
        own = self._data["images"]
        drive, least = (drives[region](one, NEUROIDS, self.seed) for one in (shown, own))
        above = least - least.min(0)
        target = target_reliability(region, NEUROIDS, self.seed)
        gain = gains(above, target, np.full(NEUROIDS, _LEAST_RATE), REPETITIONS, _SECONDS)
        return np.maximum(_LEAST_RATE + gain * (drive - least.min(0)), 0)

    def stimuli_images(self, rows: NDArray[np.int64]) -> NDArray[np.uint8]:
        """Some of its stimuli as `respond` takes them, (image, y, x) uint8."""
        return np.asarray(self._data["images"][rows])

    @property
    def choice_probabilities(self) -> NDArray[np.float64]:
        """P(image, category) of choices, (stimulus, category), columns as `CATEGORIES`."""
        return self._data["choice_probabilities"]

    @cached_property
    def _table(self) -> pd.DataFrame:
        return table_of(self.images, self.seed, self.variation)

    @property
    def _truth(self) -> NDArray[np.intp]:
        return pd.Index(CATEGORIES).get_indexer(self._table["category_name"])

    @cached_property
    def _data(self) -> dict[str, NDArray[Any]]:
        return cached_arrays("simulated", dataclasses.asdict(self), self._generate)

    def _generate(self) -> Mapping[str, NDArray[Any]]:
        scenes = render_scenes(self._table, self.size)
        drives = {
            "V1": v1_drive(scenes.images, NEUROIDS, self.seed),
            "V2": v2_drive(scenes.images, NEUROIDS, self.seed),
            "V4": v4_drive(scenes.masks, NEUROIDS, self.seed),
        }
        data: dict[str, NDArray[Any]] = {"images": scenes.images}
        for region, drive in drives.items():
            above = drive - drive.min(0)
            rates = self._scaled(region, above, above)
            data[f"{region}_rates"] = rates
            data[f"{region}_counts"] = poisson_counts(rates, REPETITIONS, _SECONDS, region, self.seed)
        course = it_drive(perceive(scenes, self._truth), self._table, NEUROIDS, self.seed)
        rates = self._scaled("IT", course[..., :EARLY_BINS].mean(-1), course)
        spikes = poisson_counts(rates, LONG_REPETITIONS, BIN / 1000, "IT", self.seed)
        data["it_rates"], data["it_spikes"] = rates, spikes
        chosen = choice_probabilities(rates[..., :EARLY_BINS].mean(-1), self._truth, self.seed)
        data["choice_probabilities"] = chosen
        threshold = sensitivity(chosen, self._truth)
        for name, responses in (("truth_ost", rates), ("target_ost", spikes.mean(0))):
            i1 = decoded_i1(responses, self._truth, self.seed)
            data[name] = solution_times(i1, threshold, TIME_BIN_START)[0]
        return data

    def _scaled(
        self, region: str, early: NDArray[np.float64], drive: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """Rates of a drive, with gains so that the `early` drive (stimulus, neuroid) has the target reliability."""
        base = np.full(NEUROIDS, _LEAST_RATE)
        target = target_reliability(region, NEUROIDS, self.seed)
        gain = gains(early, target, base, REPETITIONS, _SECONDS)
        shape = (NEUROIDS,) + (1,) * (drive.ndim - 2)
        return base.reshape(shape) + gain.reshape(shape) * drive

    def _rates(self, region: str) -> NDArray[np.float64]:
        if region == "IT":
            return self._data["it_rates"][..., :EARLY_BINS].mean(-1)
        return self._data[f"{region}_rates"]

    def _counts(self, region: str) -> NDArray[np.uint8]:
        if region == "IT":
            spikes = self._data["it_spikes"][:REPETITIONS, :, :, :EARLY_BINS]
            return spikes.sum(-1, dtype=np.uint8)
        return self._data[f"{region}_counts"]

    def _bundle(
        self, name: str, regions: tuple[str, ...], counts: NDArray[np.uint8], starts: Any, ends: Any
    ) -> Bundle:
        repetitions = len(counts)
        flat = counts.reshape(-1, *counts.shape[2:]).astype(np.float32)
        table = self._table
        ids = [f"simulated-{region}-{n:02d}" for region in regions for n in range(NEUROIDS)]
        presentation = {
            "stimulus_id": np.tile(table["stimulus_id"].to_numpy(dtype=str), repetitions),
            "object_name": np.tile(table["object_name"].to_numpy(dtype=str), repetitions),
            "category_name": np.tile(table["category_name"].to_numpy(dtype=str), repetitions),
            "repetition": np.repeat(np.arange(repetitions), len(table)),
        }
        neuroid = {
            "neuroid_id": np.array(ids),
            "region": np.repeat(np.array(regions), NEUROIDS),
            "animal": np.full(len(ids), "simulated"),
        }
        time = {"time_bin_start": np.asarray(starts, float), "time_bin_end": np.asarray(ends, float)}
        coords = {
            coord: (dimension, values)
            for dimension, group in (("presentation", presentation), ("neuroid", neuroid), ("time_bin", time))
            for coord, values in group.items()
        }
        attributes = {"note": _NOTE, "unit": "spikes", "simulation_version": SIMULATION_VERSION}
        assembly = xr.DataArray(
            flat, coords, ("presentation", "neuroid", "time_bin"), name=name, attrs=attributes
        )
        return Bundle(name, self.stimuli, assembly, digest(name, self.stimuli.identity, flat))


def _checked(region: str) -> str:
    if region not in REGIONS:
        raise CornetError(f"region={region!r} is not simulated; choose one of {', '.join(REGIONS)}.")
    return region

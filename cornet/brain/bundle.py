"""A bundle: stimuli and the responses to them, in the layout of Brain-Score's public data."""

from dataclasses import dataclass

import xarray as xr

from cornet.stimuli.stimulus_set import StimulusSet

__all__ = ["Bundle"]


@dataclass(frozen=True, eq=False)
class Bundle:
    """Stimuli and an assembly, joined by stimulus_id.

    name: of the data, e.g. "cowley2023.V4.210325".
    assembly: (presentation, neuroid[, time_bin]) with flat coordinates along each dimension, or (presentation,) for
        choices.
    identity: a hash of the assembly's content and of the stimulus ids.
    """

    name: str
    stimuli: StimulusSet
    assembly: xr.DataArray
    identity: str

"""A commitment to brain regions in which a time bin selects a step of the network.

The intervals of the steps, in ms after stimulus onset, stand in `time_map/<identifier>.json`: {region: {layer: [start,
end]}}. A bin is compared with the step whose interval starts nearest to the start of the bin (the earlier one of two),
as in the reference's own CORnet-S. Any region without intervals answers all bins with its layer of
`region_layer_map/<identifier>.json`, which names the step for 70 to 170 ms.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from brainscore_core.supported_data_standards.brainio.assemblies import NeuroidAssembly, walk_coords
from brainscore_vision.model_helpers.brain_transformation import ModelCommitment

from .network import Intervals, layer_for

__all__ = ["SteppedCommitment"]


class SteppedCommitment(ModelCommitment):
    """A ModelCommitment whose recordings of a region are the steps for the time bins.

    time_map: {region: {layer: (start, end)}}. Others: as in ModelCommitment.
    """

    def __init__(self, *, time_map: Mapping[str, Intervals], **arguments: Any) -> None:
        super().__init__(**arguments)
        self.time_map = time_map
        self.region = ""
        self.time_bins: list[tuple[float, float]] = []

    def start_recording(self, recording_target: str, time_bins: Sequence[Sequence[float]]) -> None:
        super().start_recording(recording_target, time_bins)
        self.do_behavior = False
        self.region = str(recording_target)
        self.time_bins = [(start, end) for start, end in time_bins]

    def look_at(self, stimuli: Any, number_of_trials: int = 1, require_variance: bool = False) -> Any:
        """Responses (presentation, neuroid, time_bin), without the last dimension for a single bin."""
        trials = {"number_of_trials": number_of_trials, "require_variance": require_variance}
        if self.do_behavior:
            return super().look_at(stimuli, **trials)
        fixed = self.layer_model.region_layer_map[
            self.region
        ]  # KeyError for a region that the network does not have
        intervals = self.time_map.get(self.region)
        layers = [layer_for(intervals, start) if intervals else fixed for start, _ in self.time_bins]
        found = self.activations_model(stimuli, layers=list(dict.fromkeys(layers)), **trials)
        rows = found["layer"].values
        parts = {layer: found[{"neuroid": np.flatnonzero(rows == layer)}] for layer in set(layers)}
        return self.over_time([parts[layer] for layer in layers])

    def over_time(self, parts: Sequence[Any]) -> Any:
        """Join the responses (presentation, neuroid) of the time bins. Neuroids are named by region, not by step."""
        first = parts[0].transpose("presentation", "neuroid")
        count = first.sizes["neuroid"]
        numbers = first["neuroid_num"].values
        coords = {name: (dims, values) for name, dims, values in walk_coords(first)}
        coords |= {
            "layer": ("neuroid", [self.region] * count),
            "region": ("neuroid", [self.region] * count),
            "neuroid_id": ("neuroid", [f"{self.identifier}.{self.region}.{number}" for number in numbers]),
        }
        if len(parts) == 1:
            return NeuroidAssembly(first.values, coords=coords, dims=first.dims)
        coords["time_bin_start"] = ("time_bin", [start for start, _ in self.time_bins])
        coords["time_bin_end"] = ("time_bin", [end for _, end in self.time_bins])
        values = np.stack([part.transpose("presentation", "neuroid").values for part in parts], axis=-1)
        return NeuroidAssembly(values, coords=coords, dims=("presentation", "neuroid", "time_bin"))

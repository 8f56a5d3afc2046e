"""The networks of this plugin, built from the code and weights beside this file.

Each area and step is a module of its own, such as `V4_t2`, so that a forward hook records that step alone.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from .cornet_code.models.registry import registered

__all__ = ["READOUT", "Intervals", "RecordedNetwork", "layer_for", "load_network", "read_json"]

Intervals = Mapping[str, tuple[float, float]]
"""By layer, start and end in ms after stimulus onset."""

FOLDER = Path(__file__).parent
READOUT = "readout"
"""The layer with what the decoder reads at the last step, for behaviour."""


def read_json(*parts: str) -> Any:
    """Read a JSON file of this plugin."""
    return json.loads(FOLDER.joinpath(*parts).read_text(encoding="utf-8"))


class RecordedNetwork(nn.Module):
    """A network whose areas at each step, read-out features and logits are outputs of named modules.

    layers: {name of a module: [area, step]}; the module `readout` has what the decoder reads of the last area at a
    step, (batch, feature), and `logits` the logits, (batch, class). forward: normalised images (batch, channel, y, x).
    """

    def __init__(self, network: Any, layers: dict[str, tuple[str, int]]) -> None:
        super().__init__()
        self.network: Any = network
        self.sources = layers
        for layer in layers:
            self.add_module(layer, nn.Identity())
        self.logits = nn.Identity()  # last, where the reference looks for the logits

    def forward(self, images: Tensor) -> Tensor:
        logits, states = self.network(images, return_states=True)
        for layer, (area, step) in self.sources.items():
            output = states[area][step]
            if layer == READOUT:
                output = self.network.decoder_features(output)
            self.get_submodule(layer)(output)
        return self.logits(logits)


def load_network(identifier: str) -> RecordedNetwork:
    """Build a network of `networks.json` on the CPU, with its weights, in evaluation mode."""
    entry = read_json("networks.json")[identifier]
    make = registered(entry["model"]).make  # before `meta`, in which torch 2.6 cannot import its compiler
    before = torch.empty(0).device
    torch.set_default_device(
        "meta"
    )  # all values come from the file; torch 2.6 does not report `with torch.device`
    try:
        network = make(**entry["arguments"])
    finally:
        torch.set_default_device(None if before.type == "cpu" else before)
    if not entry["decoder"]:
        network.decoder = nn.Identity()
    weights = torch.load(FOLDER / "weights" / f"{identifier}.pth", map_location="cpu", weights_only=True)
    network.load_state_dict(weights, assign=True)
    layers = {layer: (area, step) for layer, (area, step) in entry["layers"].items()}
    return RecordedNetwork(network, layers).eval()


def layer_for(intervals: Intervals, start: float) -> str:
    """The layer whose interval starts nearest to the start of a time bin, in ms; of two, the earlier one."""
    return min(intervals, key=lambda layer: abs(intervals[layer][0] - start))

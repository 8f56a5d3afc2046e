"""Linear heads on the areas of a network, for tasks that do not use its own decoder."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from cornet.errors import CornetError
from cornet.tasks.base import Outputs

__all__ = ["TOP", "Heads", "run_trunk"]

TOP = ""
"""The place of heads on the last area."""


class Heads(nn.Module):
    """Linear heads, each on the features of an area averaged over y and x, at its last step (or at every step).

    sizes: number of outputs by head. areas: the area by head; None or a missing head: the last area. scaled: divide the
    features by the square root of their number, so that a squared error can be learned at the learning rate of the
    network.

    `attach` replaces the network's decoder by nothing, so that its output is the pooled features of the last area. Of a
    network without areas the output is used. Raises CornetError for an unknown area.
    """

    def __init__(
        self, sizes: Mapping[str, int], areas: Mapping[str, str | None] | None = None, scaled: bool = False
    ) -> None:
        super().__init__()
        self.scaled = scaled
        self.sizes = dict(sizes)
        self.places = {name: (areas or {}).get(name) or TOP for name in sizes}
        self.linear = nn.ModuleDict()

    def attach(self, net: Any, shape: int | Sequence[int]) -> None:
        """Build the heads for a network and inputs of this shape; a number is the size of images in pixels."""
        own = getattr(net, "areas", None)
        for name, area in self.places.items():
            if area != TOP and (own is None or area not in own):
                known = ", ".join(own) if own is not None else "none, so its output is used"
                raise CornetError(
                    f"the area {area!r} of the head {name} is unknown; the network has {known}."
                )
        if isinstance(getattr(net, "decoder", None), nn.Module):
            net.decoder = nn.Identity()
        training = net.training
        net.eval()
        with torch.no_grad():
            blank = torch.zeros(1, *((3, shape, shape) if isinstance(shape, int) else shape))
            states = bool(self.read_areas)
            found = net(blank, return_states=True) if states else net(blank)
        net.train(training)
        features, areas = found if states else (found, {})
        if features.ndim != 2:
            raise CornetError(
                f"the network gives an output of shape {tuple(features.shape)}, but a head needs (batch, feature); "
                "average it over y and x."
            )
        for name, area in self.places.items():
            width = areas[area].shape[2] if area != TOP else features.shape[1]
            self.linear[name] = nn.Linear(width, self.sizes[name])

    @property
    def read_areas(self) -> list[str]:
        """The areas below the last one that have a head."""
        return [area for area in dict.fromkeys(self.places.values()) if area != TOP]

    def forward(
        self, net: nn.Module, inputs: Tensor, readouts: bool, states: bool, **arguments: Any
    ) -> Outputs:
        """Run the network and the heads; see `cornet.tasks.Task.forward`."""
        features, areas = run_trunk(net, inputs, self.read_areas, readouts, states, **arguments)
        every = self.read(features)
        last = {name: values[-1] for name, values in every.items()}
        return Outputs(last, every if readouts else None, areas)

    def read(self, features: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return the outputs of the heads, (step, batch, output), from the features that `run_trunk` returns."""
        found = {}
        for name, area in self.places.items():
            values = features[area]
            found[name] = self.linear[name](values / math.sqrt(values.shape[-1]) if self.scaled else values)
        return found


def run_trunk(
    net: Any, inputs: Tensor, areas: Sequence[str], readouts: bool, states: bool, **arguments: Any
) -> tuple[dict[str, Tensor], Mapping[str, Tensor] | None]:
    """Run a network without a decoder. Returns features by area, and its states if `states`.

    areas: areas below the last one whose features are needed. Features: (step, batch, feature), averaged over y and x
    if there are any, from the first step that the image reaches; of the last area (TOP) at all steps only with
    `readouts`.
    """
    options = {"readouts": True} if readouts else {}
    if states or areas:
        found, held = net(inputs, return_states=True, **options, **arguments)
    else:
        found, held = net(inputs, **options, **arguments), {}
    driven = {area: held[area][net.first_driven_step(area) :] for area in areas}
    features = {
        area: one.mean(dim=tuple(range(3, one.ndim))) if one.ndim > 3 else one for area, one in driven.items()
    }
    features[TOP] = found if readouts else found[None]
    return features, held if states else None

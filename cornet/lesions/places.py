"""Where a network can be lesioned: the units of a layer, or the channels of an area at all of its steps or at one."""

import difflib
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from cornet.errors import CornetError
from cornet.models.base import Network

__all__ = ["Place", "choose_places", "find_places"]


@dataclass(frozen=True)
class Place:
    """Units that can be lesioned one by one: (batch, unit, ...) of a layer's output, or of an area's.

    layer: a module's name (features.28), or an area (V4). step: of an area, from 0; None: all of its steps. units:
    their number. label: name in tables; the usual name of a layer where it has one (conv5_3). is_area: whether it is
    an area, whose output is taken after the last norm and ReLU, and after the skip connection.
    """

    layer: str
    units: int
    step: int | None = None
    label: str = ""
    is_area: bool = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "label", self.label or self.layer)

    def __str__(self) -> str:
        return self.label if self.step is None else f"{self.label}[{self.step}]"


def find_places(net: nn.Module, size: int, by_step: bool = True) -> list[Place]:
    """All places of a network, from the lowest up.

    A `cornet.models.Network` with areas: each area at all steps, then, where it has several, at each step that the
    image reaches (by_step). Any other network: every convolution and linear layer, whose output before the ReLU is
    lesioned, which is the same as setting its weights and its bias to zero.
    size: pixels per side of an image, of which the areas' numbers of channels are found.
    """
    if not isinstance(net, Network):
        labels = getattr(net, "labels", {})
        layers = [
            (name, part) for name, part in net.named_modules() if isinstance(part, nn.Conv2d | nn.Linear)
        ]
        return [Place(name, units_of(part), None, labels.get(name, "")) for name, part in layers]
    found = []
    for name, states in states_of(net, size).items():
        units, steps = states.shape[2], range(net.first_driven_step(name), net.steps[name])
        found.append(Place(name, units, is_area=True))
        if by_step and len(steps) > 1:
            found += [Place(name, units, step, is_area=True) for step in steps]
    return found


def units_of(layer: nn.Conv2d | nn.Linear) -> int:
    return layer.out_channels if isinstance(layer, nn.Conv2d) else layer.out_features


def states_of(net: Network, size: int) -> dict[str, Tensor]:
    """The outputs of each area for a blank image, in evaluation mode."""
    first = next(net.parameters())
    training = net.training
    net.eval()
    try:
        with torch.no_grad():
            blank = torch.zeros(1, net.in_channels, size, size, dtype=first.dtype, device=first.device)
            _, states = net.run(blank, net.steps, True, False, None)
    finally:
        net.train(training)
    return dict(states)


def choose_places(places: Sequence[Place], names: Sequence[str] | None) -> list[Place]:
    """The places with these names: conv5_3, features.28, V4 (all steps, and each step), V4[1]. None: all.

    Raises CornetError for a name that is no place.
    """
    if names is None:
        return list(places)
    chosen = []
    for name in names:
        here = [one for one in places if name in (one.layer, one.label, str(one))]
        if not here:
            known = list(dict.fromkeys(str(one) for one in places))
            near = difflib.get_close_matches(str(name), known, 1)
            hint = f"did you mean {near[0]}?" if near else f"choose from {', '.join(known)}."
            raise CornetError(f"{name!r} is no layer or area whose units can be lesioned; {hint}")
        chosen += [one for one in here if one not in chosen]
    return chosen

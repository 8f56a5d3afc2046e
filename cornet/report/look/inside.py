"""What happens inside a network when it sees an image: filters, maps of areas, saliency and read-out over steps."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from cornet.brain.subjects.base import suggestion
from cornet.brain.subjects.layers import LayerSubject, first_tensor
from cornet.brain.subjects.networks import LOGITS, NetworkSubject
from cornet.brain.subjects.record.on_device import eval_on_device
from cornet.brain.subjects.subject import Subject
from cornet.errors import CornetError
from cornet.synthesis.stage import stage_site

__all__ = ["MOST_FILTERS", "AreaMaps", "Filters", "Inside", "ReadOut", "first_filters", "look_inside"]

MOST_FILTERS = 64
MOST_LAYERS = 8
"""Layers of a network without areas whose maps are shown, spread over its depth."""
CHANNELS = 2
"""Channels of an area that are shown, beside the mean over channels."""
IMAGENET_CLASSES = 1000

Map = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Filters:
    """Filters of the first layer. name: of its weights. values: (y, x) or (channel, y, x) each, whose sizes may differ.
    total: how many there are, of which some are shown."""

    name: str
    values: list[Map] = field(repr=False)
    total: int


@dataclass(frozen=True, eq=False)
class AreaMaps:
    """Maps of one area or layer. steps: all its steps. first: the first that the image reaches. mean: by step, (y, x),
    the mean over channels; None before the image arrives. channels: by channel, the same; those that vary most over
    positions and steps. times: by step, (start, end) in ms, or None."""

    name: str
    steps: int
    first: int
    mean: list[Map | None] = field(repr=False)
    channels: dict[int, list[Map | None]] = field(repr=False)
    times: list[tuple[float, float] | None]


@dataclass(frozen=True, eq=False)
class ReadOut:
    """The class at each step of the read-out. steps: their numbers in the last area. times: as in `AreaMaps`.
    probabilities: (step, class). classes: names. chosen: the class whose gradient is shown. saliency: (step, y, x),
    length of the gradient of its logit over the colours of each pixel."""

    steps: list[int]
    times: list[tuple[float, float] | None]
    probabilities: NDArray[np.float64] = field(repr=False)
    classes: list[str]
    chosen: int
    saliency: Map = field(repr=False)


@dataclass(frozen=True, eq=False)
class Inside:
    """name: of the image. pixels: (y, x, 3) uint8, as the network is shown it. read: None without a classifier."""

    name: str
    label: str
    pixels: NDArray[np.uint8] = field(repr=False)
    areas: list[AreaMaps]
    read: ReadOut | None
    notes: list[str]


def first_filters(net: nn.Module) -> Filters | None:
    """The filters that see the image: fixed ones (Gabor, HMAX), or the weights of the first convolution; None without.

    At most `MOST_FILTERS`, evenly spread.
    """
    fixed = [
        (name, value)
        for name, value in net.named_buffers()
        if name.rpartition(".")[2].startswith("filters") and seen_by_eye(value)
    ]
    weights = [(name, value) for name, value in net.named_parameters() if seen_by_eye(value)]
    found = fixed or weights[:1]
    if not found:
        return None
    every = [one for _, value in found for one in value.detach().float().cpu().numpy()]
    places = np.unique(np.linspace(0, len(every) - 1, min(MOST_FILTERS, len(every))).round().astype(int))
    return Filters(found[0][0], [every[place] for place in places], len(every))


def seen_by_eye(value: Tensor) -> bool:
    """Whether a tensor may be filters of an image: (filter, 1 or 3 colours, y, x)."""
    return value.ndim == 4 and value.shape[1] in (1, 3) and value.shape[-1] > 1 and len(value) > 1


def look_inside(
    subject: Subject,
    images: Tensor,
    names: Sequence[str],
    labels: Sequence[str] = (),
    classes: Sequence[str] = (),
    chosen: str = "",
    trained: bool = True,
) -> list[Inside]:
    """Show images to a network, one by one.

    subject: a network. images: (image, 3, size, size) uint8. labels: true classes, if known. classes: names of its
    outputs; none: ImageNet's for 1,000 outputs of a trained network, else numbers. chosen: the class whose gradient is
    shown, by name or number; "": the most probable one at the last step.

    Raises CornetError for a subject without a network, and for an unknown class.
    """
    stage_site(subject, LOGITS)  # refuses a subject without a network
    assert isinstance(subject, NetworkSubject | LayerSubject)
    net = subject.net if isinstance(subject, NetworkSubject) else subject.module
    found = []
    with eval_on_device(net, subject._device, inference=False) as (net, device), torch.enable_grad():
        for place, image in enumerate(images):
            mean, std = (
                torch.tensor(one, device=device).view(-1, 1, 1) for one in (subject.mean, subject.std)
            )
            shown = ((image[None].to(device).float() / 255 - mean) / std).requires_grad_()
            if isinstance(subject, NetworkSubject):
                logits, areas, steps, times = _network_pass(subject, net, shown)
            else:
                logits, areas = _layer_pass(subject, net, shown)
                steps, times = [0], [None]
            notes = [f"{one.name} has no map: its states have no positions" for one in areas if not one.mean]
            read, why = _read_out(logits, shown, steps, times, classes, chosen, trained)
            found.append(
                Inside(
                    names[place],
                    labels[place] if labels else "",
                    image.permute(1, 2, 0).cpu().numpy(),
                    [one for one in areas if one.mean],
                    read,
                    [*notes, *([why] if why else [])],
                )
            )
    return found


def _network_pass(subject: NetworkSubject, net: Any, shown: Tensor) -> tuple[Any, list[AreaMaps], Any, Any]:
    """Logits (step, 1, class), maps of all areas, and steps and times of the read-out."""
    logits, states = net.run(shown, subject.steps, True, True, None)
    areas = []
    for name, area in subject.areas.items():
        times = list(subject.intervals[name])
        values = [
            value[0] if step >= area.first_driven_step else None for step, value in enumerate(states[name])
        ]
        areas.append(_maps(name, values, times))
    top = list(subject.areas)[-1]
    first = subject.areas[top].first_driven_step
    steps = list(range(first, subject.steps[top]))
    return logits, areas, steps, [subject.intervals[top][step] for step in steps]


def _layer_pass(subject: LayerSubject, net: nn.Module, shown: Tensor) -> tuple[Any, list[AreaMaps]]:
    """Logits (1, 1, class) or None, and maps of some layers, at each of their calls."""
    regions = [site.layer if hasattr(site, "layer") else site for site in subject.regions.values()]
    layers = list(dict.fromkeys(regions or [site.layer for site in subject.sites()]))
    recorded: dict[str, list[Any]] = {}
    parts = dict(net.named_modules())
    hooks = [
        parts[layer].register_forward_hook(
            lambda part, given, value, layer=layer: recorded.setdefault(layer, []).append(first_tensor(value))
        )
        for layer in layers
        if layer in parts
    ]
    try:
        logits = first_tensor(net(shown))
    finally:
        for hook in hooks:
            hook.remove()
    spatial = [
        name
        for name, (first, *_) in recorded.items()
        if first is not None and first.ndim == 4 and first.shape[-1] > 1
    ]
    places = np.unique(np.linspace(0, len(spatial) - 1, min(MOST_LAYERS, len(spatial))).round().astype(int))
    areas = []
    for name in (spatial[place] for place in places):
        values = [value[0] for value in recorded[name]]
        areas.append(_maps(name, values, [None] * len(values)))
    return (None if logits is None or logits.ndim != 2 else logits[None]), areas


def _maps(name: str, values: Sequence[Tensor | None], times: list[Any]) -> AreaMaps:
    """Maps of states (channel, y, x) by step; None for a step before the image."""
    first = next(step for step, value in enumerate(values) if value is not None)
    states = [None if value is None else value.detach().float().cpu().numpy() for value in values]
    driven = [value for value in states if value is not None]
    if driven[0].ndim != 3:
        return AreaMaps(name, len(values), first, [], {}, times)
    spread = np.stack(driven).transpose(1, 0, 2, 3).reshape(driven[0].shape[0], -1).var(axis=1)
    most = np.argsort(-spread, kind="stable")[: min(CHANNELS, len(spread))]
    mean = [None if value is None else value.mean(axis=0) for value in states]
    channels = {int(c): [None if value is None else value[c] for value in states] for c in most}
    return AreaMaps(name, len(values), first, mean, channels, times)


def _read_out(
    logits: Tensor | None,
    shown: Tensor,
    steps: list[int],
    times: list[Any],
    classes: Sequence[str],
    chosen: str,
    trained: bool,
) -> tuple[ReadOut | None, str]:
    """Probabilities and saliency at each step, or why there are none."""
    if (
        logits is None
        or logits.ndim != 3
        or logits.shape[-1] < 2
        or len(classes) not in (0, logits.shape[-1])
    ):
        return None, "the network does not classify, so it has no saliency and no read-out"
    names = list(classes) or class_names(logits.shape[-1], trained)
    probabilities = logits.detach().double().softmax(dim=-1)[:, 0].cpu().numpy()
    picked = place_of(chosen, names) if chosen else int(probabilities[-1].argmax())
    maps = []
    for one in logits[:, 0, picked]:
        (gradient,) = torch.autograd.grad(one, shown, retain_graph=True)
        maps.append(gradient[0].norm(dim=0).float().cpu().numpy())
    return ReadOut(steps, times, probabilities, names, picked, np.stack(maps)), ""


def place_of(chosen: str, names: Sequence[str]) -> int:
    """The number of a class. Raises CornetError for an unknown one."""
    if chosen in names:
        return names.index(chosen)
    if chosen.isdigit() and int(chosen) < len(names):
        return int(chosen)
    raise CornetError(
        f"--class {chosen} is unknown; give a number below {len(names)}, or a name: {suggestion(chosen, names)}"
    )


def class_names(outputs: int, trained: bool) -> list[str]:
    """ImageNet's names for 1,000 outputs of a trained network; else numbers."""
    if trained and outputs == IMAGENET_CLASSES:
        from torchvision.models import ResNet18_Weights

        return list(ResNet18_Weights.IMAGENET1K_V1.meta["categories"])
    return [f"class {number}" for number in range(outputs)]

"""A stage of a network as a differentiable module: images to the states of one area or layer at one step.

    stage = Stage(subject, stage_site(subject, "V4", 1))
    states = stage(images)                 # images (image, channel, y, x) in 0..1; states (image, ...)

It is a plain torch.nn.Module without trainable parameters, in evaluation mode, with the network's own normalisation.
"""

import copy
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from cornet.brain.subjects.base import suggestion
from cornet.brain.subjects.layers import LayerSubject, first_tensor
from cornet.brain.subjects.networks import LOGITS, POOLED, NetworkSubject
from cornet.brain.subjects.subject import Site, Subject
from cornet.errors import CornetError

__all__ = ["Stage", "stage_site"]

INPUT = ".input"


def stage_site(subject: Subject, area: str, step: int | None = None) -> Site:
    """The site of an area, region or layer at a step, from 0; None: its last step.

    Raises CornetError for a subject without a network, an unknown area, and a step that the image has not reached or
    that does not exist.
    """
    if not isinstance(subject, NetworkSubject | LayerSubject):
        raise CornetError(
            f"{subject.name} has no network that images can be optimised through; give a run, a checkpoint or the "
            "name of a network."
        )
    regions = {}
    if isinstance(subject, NetworkSubject):
        regions = {one.region: name for name, one in subject.areas.items()}
        area = regions.get(area, area)
        if area in subject.areas:
            first, steps = subject.areas[area].first_driven_step, subject.steps[area]
            chosen = steps - 1 if step is None else step
            if not 0 <= chosen < steps:
                raise CornetError(
                    f"{area} of {subject.name} has {steps} steps; choose a step of 0 to {steps - 1}."
                )
            if chosen < first:
                raise CornetError(
                    f"the image has not reached {area} of {subject.name} at step {chosen}; choose a step of {first} to "
                    f"{steps - 1}."
                )
            return Site(area, chosen)
    if area in subject.regions and step is None:
        return subject.site(area)
    assigned = subject.regions.get(area, area)
    layer = assigned.layer if isinstance(assigned, Site) else assigned
    known = [site for site in subject.sites() if site.layer == layer]
    site = Site(layer, max((one.step for one in known), default=0) if step is None else step)
    try:
        subject._check_site(site)
        if step is None and not known and layer in dict(_network(subject).named_modules()):
            site = (subject if isinstance(subject, LayerSubject) else subject._inner())._last(layer)
    except CornetError as problem:
        if known or layer in dict(_network(subject).named_modules()):
            raise
        names = dict.fromkeys([*regions, *(one.layer for one in subject.sites())])
        raise CornetError(
            f"{subject.name} has no area or layer {area!r}; {suggestion(area, names)}"
        ) from problem
    return site


class Stage(nn.Module):
    """Images in 0..1 to the states of a site.

    subject: a network. site: from `stage_site`. identity_relu: if the states are the output of a ReLU, let the gradient
    pass that ReLU unchanged, so that units that are silent have one too; ReLUs below are unchanged, and so are all
    values (the "fake ReLU" of Feather et al. 2023). The network is copied.
    """

    mean: Tensor
    std: Tensor

    def __init__(
        self, subject: NetworkSubject | LayerSubject, site: Site, *, identity_relu: bool = False
    ) -> None:
        super().__init__()
        self.net = copy.deepcopy(_network(subject)).eval().requires_grad_(False)
        self.site, self.identity_relu, self.size = site, identity_relu, subject.size
        self.name = f"{site} of {subject.name}"
        self.steps = subject.steps if isinstance(subject, NetworkSubject) else None
        first = next((one for one in self.net.parameters() if one.is_floating_point()), torch.zeros(0))
        for name, values in (("mean", subject.mean), ("std", subject.std)):
            scale = torch.tensor(values, dtype=first.dtype, device=first.device).view(-1, 1, 1)
            self.register_buffer(name, scale, persistent=False)
        self.eval()

    def forward(self, images: Tensor) -> Tensor:
        """images: (image, channel, y, x) in 0..1; one channel stands for three. Returns (image, ...)."""
        shown = (images.expand(-1, 3, -1, -1) - self.mean) / self.std
        if not self.identity_relu:
            return self._states(shown)
        with _Relus() as relus:
            states = self._states(shown)
        before = relus.input_of(states)
        return states if before is None else _IdentityBackward.apply(before)

    def _states(self, shown: Tensor) -> Tensor:
        if self.steps is None or self.site.layer not in (*self.steps, POOLED, LOGITS):
            return self._recorded(shown)
        net: Any = self.net
        if self.site.layer == LOGITS:
            logits: Tensor = net.run(shown, self.steps, False, False, None)
            return logits
        top = next(reversed(self.steps))
        area = top if self.site.layer == POOLED else self.site.layer
        states: Tensor = net.run_up_to(area, shown, self.steps)[area][self.site.step]
        if self.site.layer == POOLED:
            states = net.decoder_features(states)
        return states

    def _recorded(self, shown: Tensor) -> Tensor:
        """The states of a module inside the network, or of any layer of a network without areas."""
        layer, wanted = self.site
        net: Any = self.net
        parts = dict(self.net.named_modules())
        calls, found = 0, None

        def store(value: Any) -> None:
            nonlocal calls, found
            if calls == wanted:
                found = first_tensor(value)
                raise _Reached
            calls += 1

        if layer in parts or layer == LOGITS:
            hook = parts["" if layer == LOGITS else layer].register_forward_hook(
                lambda part, given, value: store(value)
            )
        else:
            hook = parts[layer.removesuffix(INPUT)].register_forward_pre_hook(
                lambda part, given: store(given)
            )
        try:
            if self.steps is None:
                net(shown)
            else:
                net.run(shown, self.steps, True, False, None)
        except _Reached:
            pass
        finally:
            hook.remove()
        if found is None:
            raise CornetError(f"{self.name} was not computed for these images; choose another layer.")
        return found


def _network(subject: NetworkSubject | LayerSubject) -> nn.Module:
    return subject.net if isinstance(subject, NetworkSubject) else subject.module


class _Reached(Exception):
    """The layer was computed; the rest of the network is not needed."""


class _IdentityBackward(torch.autograd.Function):
    """A ReLU whose gradient is that of the identity."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        return x.clamp_min(0)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        return gradient


IN_PLACE: tuple[Callable[..., Any], ...] = (torch.relu_, Tensor.relu_, F.relu_)
RELUS: tuple[Callable[..., Any], ...] = (F.relu, torch.relu, Tensor.relu, *IN_PLACE)


class _Relus(TorchFunctionMode):
    """Remembers the input of each ReLU, so that the one that computed a tensor can be found."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[tuple[Tensor, Tensor]] = []

    def input_of(self, output: Tensor) -> Tensor | None:
        return next((given for computed, given in reversed(self.seen) if computed is output), None)

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        options = kwargs or {}
        if func not in RELUS:
            return func(*args, **options)
        given: Tensor = args[0] if args else options["input"]
        in_place = (
            func in IN_PLACE or options.get("inplace") or (func is F.relu and len(args) > 1 and args[1])
        )
        before = given.clone() if in_place else given
        output = func(*args, **options)
        self.seen.append((output, before))
        return output

"""Run a network with units silenced, many lesions in one pass, from what was computed once for each image.

    lesions = open_lesions(net, place)
    before = lesions.prepare(images)                 # what comes before the place, once per image
    logits = lesions.logits(before, masks)           # masks (copy, unit), 0: silenced -> (copy, image, class)

A silenced unit's output is exactly 0. Weights are never changed, so there is nothing to restore. In evaluation mode
the lesions of one pass do not affect each other. Results of one image may differ in the last bit between passes with
different numbers of copies, as with any batch.
"""

import contextlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from torch import Tensor, nn

from cornet.errors import CornetError
from cornet.lesions.places import Place
from cornet.models.base import Network

__all__ = ["Lesions", "open_lesions", "silenced"]

UNIT_BY_UNIT = (nn.ReLU, nn.Dropout, nn.Identity)
"""Modules that, in evaluation mode, map each unit by itself, and 0 to 0."""

Before = tuple[Tensor, ...]
"""What was computed once for a batch of images; the first dimension of each is the image."""


class Lesions(ABC):
    """One place of one network. The network must be in evaluation mode."""

    def __init__(self, net: Any, place: Place) -> None:
        self.net, self.place = net, place

    @abstractmethod
    def prepare(self, images: Tensor) -> Before:
        """Compute what does not depend on the lesion, from normalised images (image, channel, y, x)."""

    @abstractmethod
    def logits(self, before: Before, masks: Tensor) -> Tensor:
        """Logits (copy, image, class) for each row of `masks` (copy, unit): 1, or 0 for a silenced unit."""


class ChainLesions(Lesions):
    """A layer of a chain of modules: the chain runs up to the layer once, and from there for each lesion.

    Where the next layer is linear and only a ReLU or dropout lies between, its output with one more silenced unit is
    its output without that unit's term, a product of two vectors, instead of a whole matrix product.
    """

    def __init__(self, net: Any, place: Place, chain: Sequence[tuple[str, nn.Module]]) -> None:
        super().__init__(net, place)
        position = [name for name, _ in chain].index(place.layer)
        self.below = [part for _, part in chain[: position + 1]]
        self.above = [part for _, part in chain[position + 1 :]]
        kinds = [isinstance(part, UNIT_BY_UNIT) for part in self.above]
        first = kinds.index(False) if False in kinds else len(kinds)
        following = self.above[first] if first < len(kinds) else None
        self.linear = following if isinstance(following, nn.Linear) else None
        self.between, self.beyond = self.above[:first], self.above[first + 1 :]

    def prepare(self, images: Tensor) -> Before:
        x = images
        for part in self.below:
            x = part(x)
        if self.linear is None:
            return (x,)
        return (in_turn(self.between, x.clone()),)

    def logits(self, before: Before, masks: Tensor) -> Tensor:
        if self.linear is None:
            x = in_turn(self.above, silence_copies(before[0], masks))
        else:
            x = in_turn(self.beyond, without_units(self.linear, before[0], masks).flatten(0, 1))
        return x.view(len(masks), -1, x.shape[-1])


def in_turn(parts: Sequence[nn.Module], x: Tensor) -> Tensor:
    for part in parts:
        x = part(x)
    return x


def without_units(linear: nn.Linear, inputs: Tensor, masks: Tensor) -> Tensor:
    """Outputs (copy, image, output) of a linear layer with inputs (image, unit) silenced by `masks` (copy, unit)."""
    shared = masks.amax(0)  # 0: silenced in all copies
    more = shared - masks
    if len(masks) == 1 or more.sum(1).max() > 1:
        found: Tensor = linear(silence_copies(inputs, masks)).view(len(masks), len(inputs), -1)
        return found
    base: Tensor = linear(inputs * shared)
    unit, has = more.argmax(1), more.amax(1)
    terms = (inputs[:, unit] * has).T[:, :, None] * linear.weight[:, unit].T[:, None, :]
    return base[None] - terms


class SequentialAreaLesions(Lesions):
    """An area of a network whose areas run one after another: it starts at the first step that is lesioned."""

    def prepare(self, images: Tensor) -> Before:
        names = list(self.net.areas)
        position = names.index(self.place.layer)
        below = images
        if position:
            lower = names[position - 1]
            below = self.net.run_up_to(lower, images, self.net.steps)[lower][-1]
        area = self.net.areas[self.place.layer]
        drive = area.drive(below, 0)
        state = None
        for step in range((self.place.step or 0) + 1):
            state = area.step(drive, state, step)
        assert state is not None
        return drive, state

    def logits(self, before: Before, masks: Tensor) -> Tensor:
        names, steps, copies = list(self.net.areas), self.net.steps, len(masks)
        own, every = self.place.layer, self.place.step is None
        drive = before[0].repeat(copies, 1, 1, 1)
        state = silence_copies(before[1], masks)
        rows = masks.repeat_interleave(len(before[1]), dim=0)
        for step in range((self.place.step or 0) + 1, steps[own]):
            state = self.net.areas[own].step(drive, state, step)
            if every:
                state = silence(state, rows)
        for name in names[names.index(own) + 1 :]:
            area = self.net.areas[name]
            drive = area.drive(state, 0)
            state = area.step(drive, None, 0)
            for step in range(1, steps[name]):
                state = area.step(drive, state, step)
        logits: Tensor = self.net.decode(state)
        return logits.view(copies, -1, logits.shape[-1])


class WholeLesions(Lesions):
    """Any place: the whole network runs for each lesion."""

    def prepare(self, images: Tensor) -> Before:
        return (images,)

    def logits(self, before: Before, masks: Tensor) -> Tensor:
        images = before[0].repeat(len(masks), *[1] * (before[0].ndim - 1))
        with silenced(self.net, self.place, masks.repeat_interleave(len(before[0]), dim=0)):
            if isinstance(self.net, Network):
                logits = self.net.run(images, self.net.steps, False, False, None)
            else:
                logits = self.net(images)
        return logits.view(len(masks), -1, logits.shape[-1])


def open_lesions(net: nn.Module, place: Place, whole: bool = False) -> Lesions:
    """The fastest exact way to lesion a place. whole: run the whole network for each lesion all the same."""
    if not whole and not place.is_area:
        chain = find_chain(net)
        if place.layer in [name for name, _ in chain]:
            return ChainLesions(net, place, chain)
    if not whole and place.is_area and getattr(net, "unroll", "") == "sequential":
        return SequentialAreaLesions(net, place)
    return WholeLesions(net, place)


def find_chain(net: Any) -> list[tuple[str, nn.Module]]:
    """(name, module) of modules that, one after another, compute the logits; empty if the network does not tell."""
    if isinstance(net, nn.Sequential):
        return list(net.named_children())
    return list(net.chain()) if hasattr(net, "chain") else []


def silence(output: Tensor, rows: Tensor) -> Tensor:
    """An output (row, unit, ...) with the units that are 0 in `rows` (row, unit) set to 0.

    An output of one row stands for all rows: networks compute steps before the image has arrived once.
    """
    if len(output) not in (1, len(rows)):
        raise CornetError(
            f"an output of {len(output)} rows for {len(rows)} images cannot be lesioned, because it does not keep "
            "images apart; choose another layer."
        )
    return output * rows.to(output.dtype).view(*rows.shape, *[1] * (output.ndim - 2))


def silence_copies(output: Tensor, masks: Tensor) -> Tensor:
    """Copies of an output (image, unit, ...) -> (copy x image, unit, ...), each with its silenced units set to 0."""
    shape = len(masks), 1, masks.shape[1], *[1] * (output.ndim - 2)
    return (output[None] * masks.to(output.dtype).view(shape)).flatten(0, 1)


@contextlib.contextmanager
def silenced(net: nn.Module, place: Place, rows: Tensor) -> Iterator[None]:
    """A context in which units of a network are silenced. rows: (image, unit), 0: silenced.

    A layer: at each call. An area: at the step or at all steps. Afterwards the network is as before.
    """
    part: Any = dict(net.named_modules())[f"areas.{place.layer}" if place.is_area else place.layer]
    method = getattr(part, "step", None) if place.is_area else None
    if callable(method):
        part.step = masked_step(method, place.step, rows)
        try:
            yield
        finally:
            del part.step  # the method of its class is found again
        return
    calls = 0

    def hook(module: nn.Module, given: Any, output: Tensor) -> Tensor:
        nonlocal calls
        calls += 1
        return silence(output, rows) if place.step in (None, calls - 1) else output

    handle = part.register_forward_hook(hook)
    try:
        yield
    finally:
        handle.remove()


def masked_step(method: Callable[..., Tensor], wanted: int | None, rows: Tensor) -> Callable[..., Tensor]:
    """An area's method `step`, of which the last argument is the step, with its output silenced."""

    def step(*arguments: Any) -> Tensor:
        output = method(*arguments)
        return silence(output, rows) if wanted in (None, arguments[-1]) else output

    return step

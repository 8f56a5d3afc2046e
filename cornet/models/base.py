"""Network: what every family of networks offers, so that it can be listed, trained, recorded and scored.

A family states its areas in one table, computes the output of each area at each step (`run_areas`), and has a linear
`decoder`. `docs/own-parts.md` shows a whole family in 30 lines; `cornet.models.registry.register` gives it a name.
"""

import dataclasses
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from torch import Tensor, nn

from cornet.errors import CornetError
from cornet.models.area_table import Area, Times, given_steps
from cornet.models.compiling import CompiledNetwork
from cornet.models.timm_api.methods import TimmMethods

if TYPE_CHECKING:
    from cornet.models.image_settings import ImageSettings

__all__ = ["Area", "Depth", "Network", "Pixels", "pooled"]

Pixels = tuple[Tensor, Tensor]
"""Mean and standard deviation (channel, 1, 1) of pixel values."""


class Depth(NamedTuple):
    """Convolutions and linear layers on the longest path from the image to the logits.

    layers: each layer counts once, as in the 2019 paper (15 for CORnet-S). unrolled: each layer counts once per step.
    """

    layers: int
    unrolled: int


class Network(TimmMethods, nn.Module, ABC):
    """Base class of all networks with areas.

    areas: from the lowest to the highest; the decoder reads the last one. num_classes: outputs of the decoder.
    in_channels: channels of the images.

    area_table: {name: Area}. steps: {name: steps}. made_with: `name` and the other arguments of `create_model`, which
    sets it; None for a network that was built in another way, which cannot be exported. image_settings: the images that
    it was trained on, for a network of a run or a folder; None: not known, and taken as ImageNet's.

    A family implements `run_areas`, and sets `decoder`, which maps the features of the last area, averaged over y and
    x, to logits. It may replace `steps_for` (its rule for `times`), `decoder_features`, `decode`, `make_decoder`, and
    the methods about costs. `cornet.models.timm_api.methods` adds the methods of timm's networks.

    Raises CornetError without an area, and for two areas of one name or one region.
    """

    decoder: nn.Module
    input_dims = 3
    """Dimensions of an input: 3 for images (channel, y, x)."""
    made_with: dict[str, Any] | None = None
    image_settings: "ImageSettings | None" = None
    _compiled: CompiledNetwork | None = None

    def __init__(self, areas: Iterable[Area], num_classes: int, in_channels: int = 3) -> None:
        super().__init__()
        areas = list(areas)
        for word, values in (("name", [a.name for a in areas]), ("region", [a.region for a in areas])):
            if len(set(values)) < len(values) or not values:
                raise CornetError(
                    f"{type(self).__name__} has areas of {word} {', '.join(values) or 'none'}; give one area or more, "
                    f"each with its own {word}."
                )
        self.area_table = {area.name: area for area in areas}
        self.steps = {area.name: area.steps for area in areas}
        self.num_classes = int(num_classes)
        self.in_channels = int(in_channels)

    @abstractmethod
    def run_areas(
        self, images: Tensor, steps: Mapping[str, int], keep_all: bool
    ) -> Mapping[str, Sequence[Tensor]]:
        """Compute the output of each area at each step from normalised images (batch, channel, y, x).

        steps: {area: steps}. keep_all: False allows to omit last steps that do not affect the last output of the last
        area. Returns {area: [(batch, ...), ...]} in the order of the table; a step before the image has arrived may
        have a batch of one.
        """

    def run_up_to(
        self, area: str, images: Tensor, steps: Mapping[str, int]
    ) -> Mapping[str, Sequence[Tensor]]:
        """What `run_areas` returns with `keep_all`, of an area and those that it depends on; others may be left out.

        A family may leave them out, which saves time when images are optimised through an early area.
        """
        return self.run_areas(images, steps, True)

    def decoder_features(self, output: Tensor) -> Tensor:
        """What the decoder reads (batch, feature) of an output of the last area (batch, channel, ...)."""
        return pooled(output)

    def decode(self, output: Tensor) -> Tensor:
        """Logits (batch, class) from an output of the last area (batch, channel, ...)."""
        logits: Tensor = self.decoder(self.decoder_features(output))
        return logits

    def forward(
        self,
        images: Tensor,
        return_states: bool = False,
        times: Times | None = None,
        readouts: bool = False,
        pixels: Pixels | None = None,
        features: bool = False,
    ) -> Tensor | tuple[Tensor, dict[str, Tensor]]:
        """Compute logits (batch, class) from normalised images (batch, channel, y, x).

        return_states: also return the output of each area at each step, {area: (time, batch, channel, y, x)}.
        times: run for these steps instead of the trained ones (other areas keep theirs). Raises CornetError for steps
            that the network cannot run.
        readouts: return logits for every step at which the last area depends on the image, (step, batch, class).
        pixels: mean and standard deviation (channel, 1, 1) of the pixel values, if images are pixel values (usually
            uint8); they are then normalised here, inside the compiled graph.
        features: return what the decoder reads in place of the logits, (batch, feature) or with `readouts` (step,
            batch, feature).
        """
        if pixels is None and not images.is_floating_point():
            raise CornetError(
                f"images are {images.dtype}, but must be normalised floats; or give pixels=(mean, std) of the pixel "
                "values, as net.image_settings.pixels of a loaded network."
            )
        steps = self.steps if times is None else self.steps_for(times)
        run = self.run if self._compiled is None else self._compiled
        return run(images, steps, return_states, readouts, pixels, features)

    def run(
        self,
        images: Tensor,
        steps: Mapping[str, int],
        return_states: bool,
        readouts: bool,
        pixels: Pixels | None,
        features: bool = False,
    ) -> Any:
        """Run all areas over all steps. Returns what `forward` returns; this is the method that is compiled."""
        if pixels is not None:
            images = self.normalise(images, *pixels)
        history = self.run_areas(images, steps, return_states)
        top = next(reversed(self.steps))
        last = history[top]
        driven = last[self.area_table[top].first_driven_step :] if readouts else last[-1:]
        read = [self.decoder_features(output) if features else self.decode(output) for output in driven]
        result = torch.stack(read) if readouts else read[0]
        if not return_states:
            return result
        batch = images.shape[0]
        return result, {
            name: torch.stack([output.expand(batch, *output.shape[1:]) for output in outputs])
            for name, outputs in history.items()
        }

    def normalise(self, images: Tensor, mean: Tensor, std: Tensor) -> Tensor:
        """(images - mean) / std, computed in the dtype of `mean`.

        Returned in the dtype and layout of the first spatial convolution, or in the dtype of `mean` without one.
        """
        kernel = next((w for w in self.parameters() if w.ndim == 4 and w.shape[-1] > 1), None)
        if kernel is None:
            return (images.to(mean.dtype) - mean) / std
        last = kernel.is_contiguous(memory_format=torch.channels_last) and not kernel.is_contiguous()
        layout = torch.channels_last if last else torch.contiguous_format
        return ((images.to(mean.dtype, memory_format=layout) - mean) / std).to(kernel.dtype)

    def steps_for(self, times: Times) -> dict[str, int]:
        """Steps of each area for `times`: one number for all areas of several steps, or {area: number}.

        Raises CornetError for unknown areas, and for numbers of steps that the network cannot run.
        """
        several = [name for name, steps in self.steps.items() if steps > 1]
        return {**self.steps, **given_steps(times, list(self.steps), several)}

    def table_for(self, times: Times | None) -> dict[str, Area]:
        """The table of areas when the network runs for `times`; None: as in training. Raises as `steps_for`."""
        if times is None:
            return self.area_table
        steps = self.steps_for(times)
        return {name: dataclasses.replace(area, steps=steps[name]) for name, area in self.area_table.items()}

    def first_driven_step(self, area: str) -> int:
        """First step (from 0) at which the output of an area depends on the image.

        Raises CornetError for an unknown area.
        """
        if area not in self.area_table:
            raise CornetError(f"area {area!r} is unknown; this network has {', '.join(self.area_table)}.")
        return self.area_table[area].first_driven_step

    def branch(self, area: str) -> nn.Module:
        """Return copies of all areas above `area`, for a task that shares only the areas up to it.

        The module's `forward(outputs, steps)` gets the outputs of `area` at each step, [(batch, ...), ...], and
        {area: steps}; it returns the outputs of the copies as `run_areas` does. A family may implement it; otherwise it
        raises CornetError.
        """
        raise CornetError(
            f"{type(self).__name__} cannot have a branch point, because it does not implement `branch`; set "
            "task.branch=null, or choose another model."
        )

    def macs(self, size: int) -> int | None:
        """Multiply-adds per image of `size` x `size` pixels, by the family's definition; None: they are measured."""
        return None

    def depth(self) -> Depth | None:
        """Layers on the longest path through areas and steps; None: unknown."""
        return None

    def architecture(self) -> tuple[Any, ...]:
        """What two networks have in common if they differ only in their weights."""
        return self.area_table, {key: value.shape for key, value in self.state_dict().items()}

    def recorded_arguments(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """The arguments that a checkpoint records, from those that built the network.

        A family with `FILE_ARGUMENTS` (`cornet.models.registry`) replaces the paths, as the state dict has the content.
        """
        return dict(arguments)

    def compile(self, memory_budget: float | None = None, **options: Any) -> None:
        """Compile the network in place, as one graph per image size and mode; see `CompiledNetwork`.

        Weights, state dict and outputs do not change; copies of the network are not compiled.
        memory_budget, options: as in `CompiledNetwork`.
        """
        self._compiled = CompiledNetwork(self, memory_budget, **options)

    @property
    def compiled(self) -> bool:
        """Whether the network runs compiled: `compile` was called and has not failed."""
        return self._compiled is not None and not self._compiled.failed

    def __getstate__(self) -> dict[str, Any]:
        """Exclude the compiled graph, which belongs to this instance and process."""
        return {key: value for key, value in self.__dict__.items() if key != "_compiled"}


def pooled(output: Tensor) -> Tensor:
    """An output (batch, channel, ...) averaged over all but batch and channel; (batch, feature) stays as it is."""
    return output.mean(dim=tuple(range(2, output.ndim))) if output.ndim > 2 else output

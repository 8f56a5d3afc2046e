"""Layers inside the areas of a network, such as a convolution of V4, recorded with forward hooks."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from cornet.brain.subjects.layers import LayerSubject, first_tensor
from cornet.brain.subjects.subject import Site
from cornet.models.base import Network
from cornet.stimuli.normalisation import pixel_scale

__all__ = ["InnerLayers"]


class InnerLayers(LayerSubject):
    """The modules of a network as layers; a module that runs at several steps has one site for each call.

    outputs: logits and states of the latest pass. steps: {area: steps}. calls: filled on first use with the number of
    calls of each module, and read later. Others: as in `LayerSubject`.
    """

    def __init__(self, net: Network, steps: Mapping[str, int], calls: dict[str, int], **options: Any):
        super().__init__(net, **options)
        self.unrolled, self.counted = steps, calls
        self.outputs: Any = None

    def _calls(self) -> dict[str, int]:
        if not self.counted:
            self.counted.update(super()._calls())
        return self.counted

    def _run(self, net: nn.Module, images: Tensor, device: torch.device) -> None:
        assert isinstance(net, Network)
        first = next(parameter for parameter in net.parameters() if parameter.is_floating_point())
        pixels = pixel_scale(self.mean, self.std, device, first.dtype)
        with torch.autocast(device.type, torch.bfloat16, enabled=self._precision() == "bfloat16"):
            self.outputs = net.run(images, self.unrolled, True, False, pixels)  # compiled code calls no hooks

    def _rows(self, site: Site, value: Any, images: int) -> Tensor:
        """As in `LayerSubject`; before the image has arrived, one row stands for all images."""
        tensor = first_tensor(value)
        if tensor is not None and tensor.ndim > 1 and len(tensor) == 1:
            value = tensor.expand(images, *tensor.shape[1:])
        return super()._rows(site, value, images)

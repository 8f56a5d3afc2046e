"""The methods and attributes that timm gives its classifiers, with the same meaning, for `cornet.models.Network`.

    net.num_features                        channels of `forward_features`
    net.forward_features(images)            the last area at its last step, before it is averaged over y and x
    net.forward_head(features)              logits, or with pre_logits what the decoder reads
    net.get_classifier()                    the decoder
    net.reset_classifier(num_classes)       a new decoder; 0: none
    net.forward_intermediates(images, ...)  maps of the areas, each at its last step
    net.feature_info                        [{"num_chs", "reduction", "module", ...}], one for each area
    net.pretrained_cfg                      what `timm.data.resolve_model_data_config(net)` reads

Compared with timm 1.0.31. What differs: a decoder reads averages, so `global_pool` cannot be changed.
"""

import copy
import itertools
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from cornet.errors import CornetError
from cornet.models.area_table import Area
from cornet.models.image_settings import ImageSettings
from cornet.sizes import check_positive_int

__all__ = ["TimmMethods", "chosen_indices"]

Indices = int | Sequence[int] | None
MEASURED = (256, 512)
"""Pixels per side of the images for which the maps are measured: their difference tells the reduction."""
AVERAGE = (None, "avg")


class TimmMethods:
    """A base class of `cornet.models.Network`.

    image_settings: as in `Network`; None: 224 pixels, and ImageNet's mean and std.
    """

    area_table: dict[str, Area]
    steps: dict[str, int]
    num_classes: int
    in_channels: int
    decoder: nn.Module
    made_with: dict[str, Any] | None
    image_settings: ImageSettings | None

    @property
    def num_features(self) -> int:
        """Channels of the last area, (batch, channel, ...)."""
        return int(measured_states(self, MEASURED[0])[-1].shape[1])

    @property
    def head_hidden_size(self) -> int:
        """Features that the decoder reads."""
        top = measured_states(self, MEASURED[0])[-1]
        net: Any = self
        return int(net.decoder_features(top).shape[1])

    @property
    def feature_info(self) -> list[dict[str, Any]]:
        """For each area: num_chs, reduction, module (its name in `named_modules`, or the area's name), and index.

        reduction: pixels of the image for each pixel of the map; None for an area whose output is not
        (batch, channel, y, x).
        """
        net: Any = self
        small, large = (measured_states(self, size) for size in MEASURED)
        names = {name for name, _ in net.named_modules()}
        found = []
        for index, name in enumerate(self.area_table):
            state = small[index]
            grown = large[index].shape[-1] - state.shape[-1] if state.ndim == 4 else 0
            module = f"areas.{name}" if f"areas.{name}" in names else name
            reduction = round((MEASURED[1] - MEASURED[0]) / grown) if grown else None
            entry = {"num_chs": int(state.shape[1]), "reduction": reduction, "module": module, "index": index}
            found.append(entry)
        return found

    @property
    def pretrained_cfg(self) -> dict[str, Any]:
        """Images, classes and places of layers, under the keys of timm's `PretrainedCfg`.

        crop_pct, interpolation: of the images that cornet validates on: the short side is resized to 256 for 224
        pixels, bilinear.
        """
        images = self.image_settings or ImageSettings()
        size = images.size
        return {
            "architecture": (self.made_with or {}).get("name", type(self).__name__),
            "num_classes": self.num_classes,
            "input_size": (self.in_channels, size, size),
            "pool_size": None,
            "fixed_input_size": False,
            "crop_pct": 0.875,
            "crop_mode": "center",
            "interpolation": "bilinear",
            "mean": images.mean,
            "std": images.std,
            "first_conv": None,
            "classifier": "decoder",
        }

    @property
    def default_cfg(self) -> dict[str, Any]:
        """`pretrained_cfg`, under its older name."""
        return self.pretrained_cfg

    def get_classifier(self, name_only: bool = False) -> nn.Module | str:
        """The decoder, or its name."""
        return "decoder" if name_only else self.decoder

    def make_decoder(self, num_classes: int) -> nn.Module:
        """A new decoder of `head_hidden_size` features. A family with another one than a linear layer replaces it."""
        return nn.Linear(self.head_hidden_size, num_classes)

    def reset_classifier(self, num_classes: int, global_pool: str | None = None) -> None:
        """Replace the decoder by a new, untrained one; 0: by none, so that `forward` returns what it would read.

        global_pool: None or "avg". The new decoder has the device, dtype and mode of the network. `num_classes` and
        `made_with` follow, so that create_model(**net.made_with) builds a network for this state dict.

        Raises CornetError for another pooling, and for a number below 0.
        """
        if global_pool not in AVERAGE:
            raise CornetError(
                f"global_pool={global_pool!r} is not available, as a decoder reads averages; leave it out, or take the "
                "maps from forward_features."
            )
        if num_classes != 0:
            check_positive_int("num_classes", num_classes)
        net: Any = self
        tensors = itertools.chain(net.parameters(), net.buffers())  # HMAX without a decoder has no parameters
        like = next((tensor for tensor in tensors if tensor.is_floating_point()), torch.empty(0))
        decoder = self.make_decoder(int(num_classes)) if num_classes else nn.Identity()
        self.decoder = decoder.to(device=like.device, dtype=like.dtype).train(net.training)
        self.num_classes = int(num_classes)
        if self.made_with is not None:
            self.made_with = {**self.made_with, "num_classes": self.num_classes}

    def forward_features(self, images: Tensor) -> Tensor:
        """The last area at its last step, (batch, channel, y, x), from normalised images (batch, channel, y, x)."""
        net: Any = self
        features: Tensor = net.run_areas(images, self.steps, False)[next(reversed(self.steps))][-1]
        return features

    def forward_head(self, features: Tensor, pre_logits: bool = False) -> Tensor:
        """Logits (batch, class) of what `forward_features` returns; pre_logits: what the decoder reads instead."""
        net: Any = self
        found: Tensor = net.decoder_features(features) if pre_logits else net.decode(features)
        return found

    def forward_intermediates(
        self,
        images: Tensor,
        indices: Indices = None,
        norm: bool = False,
        stop_early: bool = False,
        output_fmt: str = "NCHW",
        intermediates_only: bool = False,
    ) -> Any:
        """Areas at their last step: (features, [map, ...]), or with intermediates_only the list alone.

        indices: positions of areas in their table; a number: the last ones; None: all. The list has the order of the
        table, as in timm. norm: unused, as the areas have norms of their own. stop_early: leave out areas above the
        highest one, where the family can; with intermediates_only alone, as in timm.

        Raises CornetError for a position that does not exist, and for another format than NCHW.
        """
        if output_fmt != "NCHW":
            raise CornetError(f"output_fmt={output_fmt!r} is not available; choose NCHW.")
        net: Any = self
        names = list(self.area_table)
        taken = chosen_indices(indices, names)
        if stop_early and intermediates_only:
            history = net.run_up_to(names[max(taken)], images, self.steps)
        else:
            history = net.run_areas(images, self.steps, True)
        maps = [history[name][-1] for index, name in enumerate(names) if index in taken]
        return maps if intermediates_only else (history[names[-1]][-1], maps)


def chosen_indices(indices: Indices, names: Sequence[str]) -> list[int]:
    """Positions from 0 of the areas that `indices` means: a number of last ones, positions (from the end if below 0).

    Raises CornetError for a position that does not exist.
    """
    count = len(names)
    if indices is None:
        return list(range(count))
    if isinstance(indices, int):
        wanted = list(range(count - indices, count)) if 0 < indices <= count else []
    else:
        wanted = [index + count if index < 0 else index for index in indices]
    if not wanted or any(not 0 <= index < count for index in wanted):
        known = ", ".join(f"{index} ({name})" for index, name in enumerate(names))
        raise CornetError(f"out_indices={indices!r} names no areas of this network; choose from {known}.")
    return wanted


def measured_states(net: Any, size: int) -> list[Tensor]:
    """The last output of each area for an image of `size` pixels, on the meta device: shapes without values."""
    memo: dict[int, Any] = {}  # so that no weights are copied
    for tensor in itertools.chain(net.parameters(), net.buffers()):
        shape = tensor.detach().to("meta")
        memo[id(tensor)] = nn.Parameter(shape, False) if isinstance(tensor, nn.Parameter) else shape
    shapes = copy.deepcopy(net, memo).eval()
    images = torch.empty(1, net.in_channels, size, size, device="meta")
    with torch.no_grad():
        history = shapes.run_areas(images, net.steps, True)
    return [history[name][-1] for name in net.area_table]

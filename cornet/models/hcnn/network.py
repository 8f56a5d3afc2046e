"""HCNN: four layers of filters, thresholds, pools and divisive normalisation, on grey images.

Source: Yamins, Hong, Cadieu, Solomon, Seibert, DiCarlo 2014 (PNAS 111:8619). Its network (HMO) was a mixture of such
stacks, chosen by a search; weights and parameters were never published. What differs here:

* One stack of four layers, which stand for V1, V2, V4 and IT; their times are those of CORnet-Z.
* Parameters: see `cornet.models.hcnn.space`. `member` draws them at random, for the first step of such a search.
* Images of any size: maps are padded by default (published: 200 pixels, no padding: same=False).
* The decoder reads averages over the parts of a `grid` x `grid` of the last map (published: all outputs of the last
  layer, by a support vector machine). At 64 pixels the map has 4 x 4 pixels, so that grid=4 is all outputs. Trained on
  1,024 rendered objects, a ridge read-out of grid=1 is right in .62 of the cases, and one of all outputs in .78.
* filters="trained" learns the filters by gradient. It is then a convolutional network with the operations of 2014.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Literal, get_args

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cornet.errors import CornetError, check_choice
from cornet.models.area_table import Area
from cornet.models.base import Depth, Network
from cornet.models.cornet.layout import area_layout
from cornet.models.hcnn.operations import DivisiveNorm, FilterBank, LpPool, wide
from cornet.models.hcnn.space import INPUT, NORM, check_parameters, hcnn_member, published
from cornet.models.registry import register
from cornet.sizes import check_positive, check_positive_int, is_seed

__all__ = ["HCNN", "HCNNLayer", "StandardisedLinear", "grey"]

Filters = Literal["random", "trained"]
STEP_MS = 100
MAX_GRID = 32
SHARE = 0.01


def grey(images: Tensor) -> Tensor:
    """Weigh red, green and blue by 0.299, 0.587 and 0.114: (batch, 3, y, x) to (batch, 1, y, x). Other images stay.

    Images are normalised already, each colour by its own mean and standard deviation. With those of ImageNet, this is
    the grey of the pixels up to a shift and a factor, and up to 2 % of the weights. So thresholds are in standard
    deviations of pixel values.
    """
    if images.shape[1] != 3:
        return images
    red, green, blue = images.split(1, dim=1)
    return 0.299 * red + 0.587 * green + 0.114 * blue


class HCNNLayer(nn.Module):
    """Filters, clipping, Lp pool and divisive normalisation, with the parameters in `cornet.models.hcnn.space`."""

    def __init__(
        self, below: int, seed: tuple[int, ...], trained: bool, same: bool, parameters: Mapping[str, Any]
    ):
        super().__init__()
        value = parameters
        limits = value["min_out"], value["max_out"]
        self.filters = FilterBank(below, value["channels"], value["size"], seed, trained, *limits, same)
        self.pool = LpPool(value["pool"], value["power"], same)
        self.norm = norm_of(value, same)

    def forward(self, below: Tensor) -> Tensor:
        output: Tensor = self.norm(self.pool(self.filters(below)))
        return output


def norm_of(parameters: Mapping[str, Any], same: bool) -> DivisiveNorm:
    """The normalisation with these parameters."""
    return DivisiveNorm(**{key: parameters[key] for key in NORM}, same=same)


class StandardisedLinear(nn.Linear):
    """A linear layer that first gives each feature (batch, feature) mean 0 and variance 1.

    A hundredth of the mean variance of all features is added to each, so that a feature that is nearly always silent
    does not become huge. In training over the batch, in evaluation by averages over about the last ten batches.
    Outputs of a divisive normalisation are small numbers around a constant, different in each member of the space, so
    that no learning rate would fit all decoders.
    """

    running_mean: Tensor
    running_var: Tensor
    num_batches_tracked: Tensor

    def __init__(self, features: int, classes: int):
        super().__init__(features, classes)
        self.register_buffer("running_mean", torch.zeros(features))
        self.register_buffer("running_var", torch.ones(features))
        self.register_buffer("num_batches_tracked", torch.tensor(0))

    def forward(self, features: Tensor) -> Tensor:
        flat = features.reshape(-1, features.shape[-1])
        mean, variance = self.running_mean, self.running_var
        if self.training and len(flat) > 1:
            variance, mean = torch.var_mean(wide(flat), dim=0, correction=0)
            self.update(mean.detach(), variance.detach())
        # A feature that was silent in the last batches has no variance yet, and may be active now.
        least = SHARE * variance.mean() + 1e-12 * mean.square() + 1e-20
        scaled = (flat - mean) * (variance + least).rsqrt()
        return super().forward(scaled.view(features.shape))

    @torch.no_grad()
    def update(self, mean: Tensor, variance: Tensor) -> None:
        """Average the moments of a batch into the running ones; those of the first batch replace them."""
        self.num_batches_tracked.add_(1)
        share = (1 / self.num_batches_tracked).clamp(min=0.1).to(self.running_mean.dtype)
        self.running_mean.lerp_(mean.to(self.running_mean.dtype), share)
        self.running_var.lerp_(variance.to(self.running_var.dtype), share)


@register(
    "hcnn", summary="random filters and divisive normalisation, grey", paper="Yamins et al. 2014 (PNAS)"
)
class HCNN(Network):
    """Four layers of the HCNN family and a linear decoder.

    num_classes: outputs of the decoder.
    filters: "random": filters are drawn once and never trained, only the decoder is; "trained": trained by gradient.
    filter_seed: of the random filters, and of the sequence of members.
    member: None: a published good network with a fourth layer; 0, 1, ...: a random member of the space (`hcnn_member`).
    layers: changes by area, such as {"V4": {"pool": 5}}; "input" is the normalisation of the image.
    width: multiplies the numbers of filters.
    same: whether maps are padded, so that each area halves the map, rounded up. Without padding, large windows need
        large images.
    grid: parts per side of the last map whose averages the decoder reads; 1: the average over the whole map.
    in_channels: 3, of which grey is made, or 1.

    Raises CornetError for unknown parameters and values out of range, and in `forward` for images that are too small.
    """

    def __init__(
        self,
        num_classes: int = 1000,
        filters: Filters = "random",
        filter_seed: int = 0,
        member: int | None = None,
        layers: Mapping[str, Mapping[str, Any]] | None = None,
        width: float = 1.0,
        same: bool = True,
        grid: int = 4,
        in_channels: int = 3,
    ):
        check_positive_int("num_classes", num_classes)
        check_positive_int("grid", grid, MAX_GRID)
        check_positive("width", width)
        check_choice("filters", filters, get_args(Filters))
        if in_channels not in (1, 3):
            raise CornetError(
                f"in_channels={in_channels!r} must be 3 for colours, of which grey is made, or 1 for grey."
            )
        if not is_seed(filter_seed):
            raise CornetError(f"filter_seed={filter_seed!r} must be a whole number, 0 to {2**32 - 1}.")
        check_parameters(layers or {})
        table = [Area(spec.name, 1, spec.onset_ms, STEP_MS) for spec in area_layout(4)]
        super().__init__(table, num_classes, in_channels)
        chosen = published() if member is None else hcnn_member(filter_seed, member)
        self.parameters_by_area = {
            area: {**own, **(layers or {}).get(area, {})} for area, own in chosen.items()
        }
        self.same = bool(same)
        self.input_norm = norm_of(self.parameters_by_area[INPUT], self.same)
        self.areas = nn.ModuleDict()
        below = 1
        for position, name in enumerate(self.steps):
            own = dict(self.parameters_by_area[name])
            own["channels"] = max(1, round(own["channels"] * width))
            seed = filter_seed, position, own["filter_seed"]
            self.areas[name] = HCNNLayer(below, seed, filters == "trained", self.same, own)
            below = own["channels"]
        self.grid = int(grid)
        self.decoder = StandardisedLinear(below * self.grid**2, self.num_classes)

    def make_decoder(self, num_classes: int) -> nn.Module:
        return StandardisedLinear(self.head_hidden_size, num_classes)

    def decoder_features(self, output: Tensor) -> Tensor:
        """Averages (batch, channel x grid x grid) over the parts of the last map."""
        return F.adaptive_avg_pool2d(output, self.grid).flatten(1)

    def run_areas(
        self, images: Tensor, steps: Mapping[str, int], keep_all: bool
    ) -> dict[str, Sequence[Tensor]]:
        if not self.same and min(images.shape[-2:]) < (smallest := self.smallest()):
            raise CornetError(
                f"images of {' x '.join(map(str, images.shape[-2:]))} pixels are too small for the windows without "
                f"padding, which need {smallest}; give larger images, or same=True."
            )
        history: dict[str, Sequence[Tensor]] = {}
        below = self.input_norm(grey(wide(images)))
        for name, area in self.areas.items():
            below = area(below)
            history[name] = [below]
        return history

    def smallest(self) -> int:
        """Pixels per side of the smallest image without padding, which has one pixel in the last map."""
        size = 1
        for name in reversed(self.steps):
            own = self.parameters_by_area[name]
            size += own["window"] - 1
            size = 2 * (size - 1) + own["pool"] + own["size"] - 1
        return int(size + self.parameters_by_area[INPUT]["window"] - 1)

    def depth(self) -> Depth:
        return Depth(len(self.areas) + 1, len(self.areas) + 1)

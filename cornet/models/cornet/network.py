"""The CORnet family as one class: areas, an unrolling and a linear decoder."""

from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor, nn

from cornet.models.area_table import Times
from cornet.models.base import Depth, Network
from cornet.models.cornet.areas import FeedforwardArea, RecurrentArea, StemArea
from cornet.models.cornet.bottleneck import BottleneckArea, Gate
from cornet.models.cornet.branch import Branch
from cornet.models.cornet.costs import count_depth, count_macs
from cornet.models.cornet.feedback import Feedback, resolve_feedback
from cornet.models.cornet.gabor import GaborArea
from cornet.models.cornet.layout import AreaSpec, area_layout
from cornet.models.cornet.norm import LaterSteps, NormMode
from cornet.models.cornet.steps import (
    Unroll,
    check_feedback_arrives,
    check_off_after,
    network_areas,
    resolve_steps,
)
from cornet.models.cornet.unroll import UNROLLS
from cornet.models.cornet.variants import (
    PUBLISHED_INIT,
    PUBLISHED_NORM,
    Block,
    Init,
    V1Kind,
    check_choices,
    check_max_channels,
    check_v1_options,
    initialise,
)
from cornet.old_names import accepts_old_arguments
from cornet.sizes import check_positive, check_positive_int

__all__ = ["CORnet"]


class CORnet(Network):
    """V1, V2, V4, IT and a linear decoder, for images of any size.

    num_classes: number of outputs of the decoder.
    block: type of the areas: "feedforward" (Z), "recurrent" (R, RT), "bottleneck" (S).
    unroll: "sequential" (Z, S), "cascade" (R) or "synchronous" (RT); see `cornet.models.cornet.unroll`.
    times: steps per area: one number for all recurrent areas, or {"V2": 2, "V4": 4, "IT": 2} (other areas keep
        their published number). All areas of a cascade or synchronous network run for the same number of steps;
        areas of Z, and V1 of S, always run for one.
    width: multiplies the published channels 64, 128, 256, 512.
    bottleneck, gate, loop, convolutions, skip: see `cornet.models.cornet.bottleneck.BottleneckArea`.
    areas: 4, or 5 with V3 between V2 and V4.
    feedback: see `cornet.models.cornet.feedback.resolve_feedback`.
    off_after: number of steps after which the image is replaced by zeros; None: it stays on.
    v1: "gabor" for a fixed Gabor bank as V1; v1_options: see `cornet.models.cornet.gabor.GaborArea`.
    norm: "per_step", "shared", "shared_affine" or "group"; default: as published for the block. Z has none.
    later_steps: what norms do at steps later than the trained ones: "last" or "refuse".
    init: "xavier", "torch", "fan_out" or "kaiming"; default: as published for the block.
    in_channels: channels of the images.

    `steps` is the resolved {area: steps}. In cascade and synchronous networks, norms of steps that never reach the
    logits get no gradient.
    Raises CornetError for an unknown choice, and if there are too few steps for the image to reach the logits.
    Sources: Kubilius et al. 2018 (Z, R, RT), Kubilius, Schrimpf et al. 2019 (S).
    """

    @accepts_old_arguments
    def __init__(
        self,
        num_classes: int = 1000,
        block: Block = "bottleneck",
        unroll: Unroll = "sequential",
        times: Times | None = None,
        width: float = 1.0,
        bottleneck: float = 4,
        gate: Gate = "hard",
        loop: int | None = None,
        convolutions: int = 3,
        skip: bool = True,
        areas: int = 4,
        feedback: bool | Sequence[str] = False,
        off_after: int | None = None,
        v1: V1Kind | None = None,
        v1_options: Mapping[str, Any] | None = None,
        norm: NormMode | None = None,
        later_steps: LaterSteps = "last",
        init: Init | None = None,
        in_channels: int = 3,
    ):
        circuit: dict[str, Any] = {
            "bottleneck": bottleneck,
            "gate": gate,
            "loop": loop,
            "convolutions": convolutions,
            "skip": skip,
        }
        check_choices(block, unroll, norm, v1, circuit)
        check_v1_options(v1, v1_options, GaborArea)
        check_positive_int("num_classes", num_classes)
        check_positive_int("in_channels", in_channels)
        check_positive("width", width)
        check_positive("bottleneck", bottleneck)
        layout = area_layout(areas)
        names = [spec.name for spec in layout]
        super().__init__(network_areas(block, unroll, layout, times), num_classes, in_channels)
        self.block = block
        self.unroll = unroll
        check_off_after(off_after, unroll, self.steps)
        self.off_after = off_after
        pairs = resolve_feedback(feedback, names, unroll)
        check_feedback_arrives(pairs, unroll, self.steps)
        norm = norm or PUBLISHED_NORM.get(block, "per_step")
        self.areas = nn.ModuleDict()
        check_max_channels(block, max(spec.channels for spec in layout), width, bottleneck)
        channels = {spec.name: max(1, round(spec.channels * width)) for spec in layout}
        below = self.in_channels

        def make_area(spec: AreaSpec) -> nn.Module:
            own, steps, stride = channels[spec.name], self.steps[spec.name], 2 if spec.halves else 1
            first = spec is layout[0]
            if first and v1 == "gabor":
                return GaborArea(below, own, **(v1_options or {}))
            if block == "feedforward":
                return FeedforwardArea(below, own, 7 if first else 3, 2 if first else 1, stride)
            if block == "recurrent":
                kernel, stride = (7, 4) if first else (3, stride)
                driven = self.first_driven_step(spec.name)
                return RecurrentArea(below, own, steps, kernel, stride, norm, later_steps, driven)
            if first:
                return StemArea(below, own, norm)
            return BottleneckArea(
                below, own, steps, norm=norm, later_steps=later_steps, stride=stride, **circuit
            )

        for spec in layout:
            self.areas[spec.name] = make_area(spec)
            below = channels[spec.name]
        self.feedback = Feedback(pairs, channels) if pairs else None
        self.decoder = nn.Linear(below, self.num_classes)
        self.decoder_init: Init = init or PUBLISHED_INIT[block]
        initialise(self, self.decoder_init)

    def make_decoder(self, num_classes: int) -> nn.Module:
        decoder = nn.Linear(self.head_hidden_size, num_classes)
        initialise(decoder, self.decoder_init)
        return decoder

    def run_areas(self, images: Tensor, steps: Mapping[str, int], keep_all: bool) -> dict[str, list[Tensor]]:
        areas = dict(self.areas.items())
        return UNROLLS[self.unroll](areas, images, steps, keep_all, self.feedback, self.off_after)

    def run_up_to(self, area: str, images: Tensor, steps: Mapping[str, int]) -> dict[str, list[Tensor]]:
        if self.unroll != "sequential":  # areas advance together
            return self.run_areas(images, steps, True)
        names = list(self.areas)
        below = {name: self.areas[name] for name in names[: names.index(area) + 1]}
        return UNROLLS[self.unroll](below, images, steps, True, None, self.off_after)

    def branch(self, area: str) -> Branch:
        return Branch(self, area)

    def steps_for(self, times: Times) -> dict[str, int]:
        return resolve_steps(self.block, self.unroll, times, self.steps)

    def macs(self, size: int) -> int:
        return count_macs(self, size)

    def depth(self) -> Depth:
        return count_depth(self)

    def architecture(self) -> tuple[Any, ...]:
        return self.unroll, self.off_after, *super().architecture()

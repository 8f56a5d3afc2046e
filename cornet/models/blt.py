"""BL and BLT: convolutional layers with lateral and top-down connections, and their feed-forward control B.

A layer adds its bottom-up, lateral and top-down convolutions; then norm and ReLU:

    output(t) = relu(norm_t(bottom_up(pool(below(t))) + lateral(output(t - 1)) + top_down(above(t - 1))))

Within a step the image passes through all layers ("lag 0"); lateral and top-down connections carry the outputs of the
previous step. The decoder reads every step.

Sources: Spoerer, McClure, Kriegeskorte 2017 (Front. Psychol. 8:1551: BLT, two layers), and Spoerer, Kietzmann et al.
2020 (PLoS Comput. Biol. 16:e1008215: BL, seven layers). Channels, kernels, 2 x 2 max pools, the timing, a batch norm
for each step, eight steps and Glorot-uniform weights are those of 2020, compared with the authors' public code
(cjspoerer/rcnn-sat). What differs:

* The default has the first four of the seven layers, as V1, V2, V4 and IT; `areas` names more.
* The first convolution has stride 2 (published: 1, for images of 128 pixels), which takes a quarter of the time.
* Top-down connections are in the paper of 2017 alone, whose small layers had a local response normalisation. Here BLT
  is the BL of 2020 with top-down convolutions added: transposed, stride 2, of the kernel size of the layer they reach.
* The milliseconds of steps are not published. Step 0 of an area starts at the onset of this area in CORnet-S.
* The paper trains the mean of the losses at all eight steps: recipe.step_loss=7, as the last step counts once besides.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import torch.nn.functional as F
from torch import Tensor, nn

from cornet.errors import CornetError
from cornet.models.area_table import Area, Times, given_steps
from cornet.models.base import Network
from cornet.models.cornet.layout import area_layout
from cornet.models.cornet.norm import LaterSteps, NormMode, SteppedNorm
from cornet.models.registry import register
from cornet.sizes import MAX_CHANNELS, check_positive, check_positive_int

__all__ = ["BLT", "ConnectedLayer", "b", "bl", "blt"]

CHANNELS = (96, 128, 192, 256, 512, 1024, 2048)
KERNELS = (7, 5, 3, 3, 3, 3, 1)
STEPS, STEP_MS = 8, 30
PAPER_2017 = "Spoerer, McClure, Kriegeskorte 2017 (Front. Psychol.)"
PAPER_2020 = "Spoerer, Kietzmann et al. 2020 (PLoS Comput. Biol.)"


class ConnectedLayer(nn.Module):
    """A layer with a bottom-up convolution and, if asked for, lateral and top-down ones.

    below, channels: channels of its input and of its output. kernel: size of all its convolutions. steps, norm,
    later_steps: as in `SteppedNorm`. stride: of the bottom-up convolution. pool: whether its input is pooled (max,
    2 x 2; the last row and column of an odd map are pooled alone). lateral: whether it reads its own last output.
    above: channels of the layer above if it reads that layer's last output; 0: it does not.
    """

    def __init__(
        self,
        below: int,
        channels: int,
        kernel: int,
        steps: int,
        stride: int = 1,
        pool: bool = True,
        lateral: bool = True,
        above: int = 0,
        norm: NormMode = "per_step",
        later_steps: LaterSteps = "last",
    ):
        super().__init__()
        around = kernel // 2
        self.pool = nn.MaxPool2d(2, 2, ceil_mode=True) if pool else nn.Identity()
        self.bottom_up = nn.Conv2d(below, channels, kernel, stride, around, bias=False)
        self.lateral = nn.Conv2d(channels, channels, kernel, 1, around, bias=False) if lateral else None
        self.top_down = nn.ConvTranspose2d(above, channels, kernel, 2, around, bias=False) if above else None
        self.norm = SteppedNorm(channels, steps, norm, later_steps)

    def drive(self, below: Tensor) -> Tensor:
        """The bottom-up input (batch, channel, y, x) from the output of the layer below."""
        drive: Tensor = self.bottom_up(self.pool(below))
        return drive

    def step(self, drive: Tensor, own: Tensor | None, above: Tensor | None, step: int) -> Tensor:
        """The output at a step (from 0). own, above: last outputs of this layer and the one above; None at step 0."""
        if own is not None and self.lateral is not None:
            drive = drive + self.lateral(own)
        if above is not None and self.top_down is not None:
            drive = drive + self.top_down(above, output_size=drive.shape[-2:])
        return F.relu(self.norm(drive, step))


class BLT(Network):
    """Convolutional layers that are recurrent, each one area, and a linear decoder of every step.

    num_classes: number of outputs of the decoder. lateral, top_down: the recurrent connections; without both, one step.
    times: steps of all areas (default: 8, or 1 without recurrence).
    width: multiplies the channels.
    areas: names of the layers from the lowest up; default: V1, V2, V4, IT. All seven layers of 2020 are for example
        ["V1", "V2", "L3", "V4", "L5", "L6", "IT"].
    channels, kernels: by layer; kernels are odd. Default: the first ones of 96, 128, 192, 256, 512, 1024, 2048, and of
        7, 5, 3, 3, 3, 3, 1.
    stride: of the first convolution. norm, later_steps: as in `cornet.models.cornet.norm.SteppedNorm`.
    in_channels: channels of the images.

    Sizes of the maps: ceil(size / stride) in the lowest area, then half, rounded up, in each one.
    Raises CornetError for numbers out of range, for `channels` or `kernels` that do not fit `areas`, and for different
    steps by area.
    """

    def __init__(
        self,
        num_classes: int = 1000,
        lateral: bool = True,
        top_down: bool = True,
        times: Times | None = None,
        width: float = 1.0,
        areas: Sequence[str] | None = None,
        channels: Sequence[int] | None = None,
        kernels: Sequence[int] | None = None,
        stride: int = 2,
        norm: NormMode = "per_step",
        later_steps: LaterSteps = "last",
        in_channels: int = 3,
    ):
        check_positive_int("num_classes", num_classes)
        check_positive_int("in_channels", in_channels)
        check_positive_int("stride", stride)
        check_positive("width", width)
        onsets = {spec.name: spec.onset_ms for spec in area_layout(4)}
        names = list(onsets if areas is None else areas)
        numbers = by_layer("channels", channels, CHANNELS, names)
        sizes = by_layer("kernels", kernels, KERNELS, names)
        if even := [size for size in sizes if size % 2 == 0]:
            raise CornetError(
                f"kernels={sizes} must be odd, so that maps keep their size; replace {even[0]}."
            )
        if max(numbers, default=0) * float(width) > MAX_CHANNELS:
            raise CornetError(
                f"width={width!r} makes a layer of more than {MAX_CHANNELS:,} channels; lower it."
            )
        self.recurrent = bool(lateral or top_down)
        steps = lockstep({} if times is None else times, dict.fromkeys(names, STEPS if self.recurrent else 1))
        check_recurrent(steps, self.recurrent)
        table, onset = [], min(onsets.values())
        for name in names:
            onset = onsets.get(name, onset)  # a layer of another name: as the one below
            table.append(Area(name, steps[name], onset, STEP_MS))
        super().__init__(table, num_classes, in_channels)
        wide = [max(1, round(number * width)) for number in numbers]
        self.areas = nn.ModuleDict()
        for position, (name, size) in enumerate(zip(names, sizes, strict=True)):
            first, last = position == 0, position == len(names) - 1
            self.areas[name] = ConnectedLayer(
                self.in_channels if first else wide[position - 1],
                wide[position],
                size,
                steps[name],
                stride=int(stride) if first else 1,
                pool=not first,
                lateral=lateral,
                above=wide[position + 1] if top_down and not last else 0,
                norm=norm,
                later_steps=later_steps,
            )
        self.decoder = nn.Linear(wide[-1], self.num_classes)
        nn.init.zeros_(self.decoder.bias)
        for weight in self.parameters():
            if weight.ndim > 1:
                nn.init.xavier_uniform_(weight)

    def make_decoder(self, num_classes: int) -> nn.Module:
        decoder = nn.Linear(self.head_hidden_size, num_classes)
        nn.init.xavier_uniform_(decoder.weight)
        nn.init.zeros_(decoder.bias)
        return decoder

    def run_areas(self, images: Tensor, steps: Mapping[str, int], keep_all: bool) -> dict[str, list[Tensor]]:
        layers: list[tuple[str, Any]] = list(self.areas.items())
        history: dict[str, list[Tensor]] = {name: [] for name in steps}
        drive = image_drive = layers[0][1].drive(images)  # the image is constant
        for step in range(next(iter(steps.values()))):
            for position, (name, layer) in enumerate(layers):
                drive = image_drive if position == 0 else layer.drive(history[layers[position - 1][0]][step])
                own = history[name][-1] if step else None
                above = history[layers[position + 1][0]][-1] if step and position + 1 < len(layers) else None
                history[name].append(layer.step(drive, own, above, step))
        return history

    def steps_for(self, times: Times) -> dict[str, int]:
        steps = lockstep(times, self.steps)
        check_recurrent(steps, self.recurrent)
        return steps


def by_layer(
    word: str, given: Sequence[int] | None, published: Sequence[int], names: Sequence[str]
) -> list[int]:
    """The numbers of all layers. Raises CornetError unless there is one for each layer, a whole number from 1."""
    values = list(published[: len(names)] if given is None else given)
    if len(values) != len(names):
        raise CornetError(
            f"{word}={values} has {len(values)} numbers, but there are {len(names)} areas "
            f"({', '.join(map(str, names))}); give one for each."
        )
    for value in values:
        check_positive_int(word, value)
    return values


def lockstep(times: Times, default: Mapping[str, int]) -> dict[str, int]:
    """Steps of all areas. Raises CornetError for unknown areas, and unless all areas have the same number."""
    steps = {**default, **given_steps(times, list(default), list(default))}
    if len(set(steps.values())) > 1:
        raise CornetError(f"times={steps} must be equal, as all areas advance together; give one number.")
    return steps


def check_recurrent(steps: Mapping[str, int], recurrent: bool) -> None:
    """Raise CornetError for several steps without recurrent connections."""
    if not recurrent and (most := max(steps.values(), default=1)) > 1:
        raise CornetError(
            f"times={most} would repeat the first step, as lateral and top_down are false; leave it at 1, or choose "
            "model=bl."
        )


@register("b", summary="feed-forward control of bl: one step", paper=PAPER_2020, accepts=BLT)
def b(**arguments: Any) -> BLT:
    """B, bottom-up connections only: `BLT` with these defaults."""
    return BLT(**{"lateral": False, "top_down": False, **arguments})


@register("bl", summary="recurrent: lateral connections in every layer", paper=PAPER_2020, accepts=BLT)
def bl(**arguments: Any) -> BLT:
    """BL, bottom-up and lateral connections: `BLT` with these defaults."""
    return BLT(**{"lateral": True, "top_down": False, **arguments})


@register("blt", summary="recurrent: lateral and top-down connections", paper=PAPER_2017, accepts=BLT)
def blt(**arguments: Any) -> BLT:
    """BLT, bottom-up, lateral and top-down connections: `BLT` with these defaults."""
    return BLT(**arguments)

"""The network of Kell, Yamins, Shook, Norman-Haignere and McDermott 2018 (Neuron 98:630) on cochleagrams.

Eleven stages, of which the first `branch` are shared by the tasks, and a linear read-out for each task. Read from the
public graph; not public are the hyper-parameters of its training. Its weights are not loaded.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Literal, get_args

from torch import Tensor, nn

from cornet.errors import CornetError, check_choice
from cornet.models.area_table import Area
from cornet.models.base import Depth, Network
from cornet.models.kell.layout import STAGES, Layout
from cornet.models.kell.stages import Conv, FullyConnected, Pool, response_norm
from cornet.models.registry import register
from cornet.sizes import check_positive, check_positive_int

__all__ = ["Kell2018", "kell_small"]

Norm = Literal["response", "batch", "none"]
CLIP_MS = 2000.0
CONVS = 5


@register(
    "kell_2018",
    inputs="cochleagrams",
    summary="words and genres from a cochleagram, in branches",
    paper="Kell et al. 2018 (Neuron)",
)
class Kell2018(Network):
    """A trunk of shared stages and a branch for each task.

    num_classes: outputs of the decoder, which reads the branch of the first task. tasks: names of the tasks.
    branch: number of shared stages, from 0 (nothing is shared) to 11 (all but the read-outs); published: 7.
    input_size: channels and frames of the cochleagrams. channels, kernels, strides: of the five convolutions.
    hidden: units of the fully connected stage. width: multiplies `channels` and `hidden`. parameters: choose the width
        so that the network has about as many parameters, without read-outs; None: `width` as it is.
    norm: "response", as published; "batch"; or "none". dropout: share of units of the fully connected stage that are
        silenced in training.

    Areas: the stages, shared ones by name, others with the name of their task, such as conv4_word. `fc6_<task>` always
    exists; heads of tasks read it. Raises CornetError for values out of range and inputs of another size.
    """

    def __init__(
        self,
        num_classes: int = 589,
        tasks: Sequence[str] = ("word", "genre"),
        branch: int = 7,
        input_size: Sequence[int] = (256, 256),
        channels: Sequence[int] = (96, 256, 512, 1024, 512),
        kernels: Sequence[int] = (9, 5, 3, 3, 3),
        strides: Sequence[int] = (3, 2, 1, 1, 1),
        hidden: int = 1024,
        width: float = 1.0,
        parameters: int | None = None,
        norm: Norm = "response",
        dropout: float = 0.5,
        in_channels: int = 1,
    ) -> None:
        check_positive_int("num_classes", num_classes)
        check_positive("width", width)
        check_choice("norm", norm, get_args(Norm))
        if type(branch) is not int or not 0 <= branch <= len(STAGES):
            raise CornetError(
                f"branch={branch!r} must be the number of shared stages, a whole number from 0 to {len(STAGES)}."
            )
        if not tasks or len(set(tasks)) < len(tasks) or not all(name.isidentifier() for name in tasks):
            raise CornetError(
                f"tasks={list(tasks)} must be different names of letters and digits, such as [word, genre]."
            )
        if not 0 <= dropout < 1:
            raise CornetError(f"dropout={dropout!r} must be a share from 0 to below 1.")
        for word, values in (("channels", channels), ("kernels", kernels), ("strides", strides)):
            if len(values) != CONVS:
                raise CornetError(f"{word}={list(values)} must have {CONVS} numbers, one a convolution.")
            for value in values:
                check_positive_int(word, value)
        if len(input_size) != 2:
            raise CornetError(f"input_size={list(input_size)} must be two numbers, channels and frames.")
        layout = Layout(
            branch=branch,
            tasks=len(tasks),
            input_size=(int(input_size[0]), int(input_size[1])),
            channels=tuple(channels),
            kernels=tuple(kernels),
            strides=tuple(strides),
            hidden=int(hidden),
            in_channels=int(in_channels),
            norm=norm,
        )
        if parameters is not None:
            check_positive_int("parameters", parameters, 10**12)
            width = layout.width_for(parameters)
        super().__init__(area_rows(tasks, branch), num_classes, in_channels)
        self.layout = layout.scaled(width)
        self.width, self.shared, self.tasks = float(width), int(branch), tuple(tasks)
        self.areas = nn.ModuleDict()
        for name in self.steps:
            stage = name.partition("_")[0]
            alias = self.shared == len(STAGES) and "_" in name
            self.areas[name] = nn.Identity() if alias else make_stage(stage, self.layout, dropout)
        self.decoder = nn.Linear(self.layout.hidden, self.num_classes)

    def run_areas(
        self, images: Tensor, steps: Mapping[str, int], keep_all: bool
    ) -> dict[str, Sequence[Tensor]]:
        expected = (self.in_channels, *self.layout.input_size)
        if tuple(images.shape[1:]) != expected:
            raise CornetError(
                f"cochleagrams of shape {tuple(images.shape[1:])} do not fit the network, which takes {expected}; set "
                "model.input_size."
            )
        history: dict[str, Sequence[Tensor]] = {}
        tops = {"": images}  # the newest output of the trunk and of each branch
        for name, stage in self.areas.items():
            task = name.partition("_")[2]
            tops[task] = stage(tops.get(task, tops[""]))
            history[name] = [tops[task]]
        return history

    def macs(self, size: int) -> int:
        """Multiply-adds of convolutions and linear layers for one cochleagram of the network's own size."""
        total = sum(weight.numel() for weight in self.decoder.parameters() if weight.ndim == 2)
        for name, stage in self.areas.items():
            if isinstance(stage, FullyConnected):
                total += stage.linear.weight.numel()
            elif isinstance(stage, Conv):
                rows, columns = self.layout.map_size(name.partition("_")[0])
                total += stage.weight.numel() * rows * columns
        return total

    def depth(self) -> Depth:
        return Depth(CONVS + 2, CONVS + 2)


@register(
    "kell_small",
    inputs="cochleagrams",
    summary="kell_2018 for clips of one second",
    paper="Kell et al. 2018 (Neuron)",
    accepts=Kell2018,
)
def kell_small(**arguments: Any) -> Kell2018:
    """The same stages for cochleagrams of 45 channels and 50 frames, narrow, with smaller kernels and batch norm."""
    return Kell2018(**{**SMALL, **arguments})


SMALL: dict[str, Any] = {
    "num_classes": 10,
    "input_size": (45, 50),
    "channels": (12, 24, 32, 32, 32),
    "kernels": (7, 5, 3, 3, 3),
    "strides": (2, 1, 1, 1, 1),
    "hidden": 64,
    "norm": "batch",
    "dropout": 0.3,
}


def area_rows(tasks: Sequence[str], branch: int) -> list[Area]:
    """The table of areas: shared stages, then the branches, that of the first task last, which the decoder reads."""
    names = list(STAGES[:branch])
    for task in reversed(tasks):
        names += [f"{stage}_{task}" for stage in (STAGES[branch:] or STAGES[-1:])]
    return [Area(name, 1, 0.0, CLIP_MS) for name in names]


def make_stage(stage: str, layout: Layout, dropout: float) -> nn.Module:
    """Build one stage."""
    if stage.startswith("conv"):
        return Conv(*layout.convolution(stage))
    if stage.startswith("pool"):
        return Pool(mean=stage == "pool5")
    if stage == "fc6":
        return FullyConnected(layout.features, layout.hidden, dropout)
    if layout.norm == "response":
        return response_norm()
    return nn.BatchNorm2d(layout.channels[int(stage[-1]) - 1]) if layout.norm == "batch" else nn.Identity()

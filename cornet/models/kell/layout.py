"""Sizes of the stages, numbers of parameters, and the width that gives a number of parameters."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from cornet.errors import CornetError
from cornet.models.kell.stages import same_size

__all__ = ["STAGES", "Layout"]

STAGES = (
    *("conv1", "rnorm1", "pool1", "conv2", "rnorm2", "pool2", "conv3"),
    *("conv4", "conv5", "pool5", "fc6"),
)
"""From the cochleagram up; the linear read-outs are the twelfth stage."""


@dataclass(frozen=True)
class Layout:
    """Numbers that determine the stages; see `cornet.models.kell.network.Kell2018`. tasks: their number."""

    branch: int
    tasks: int
    input_size: tuple[int, int]
    channels: tuple[int, ...]
    kernels: tuple[int, ...]
    strides: tuple[int, ...]
    hidden: int
    in_channels: int
    norm: str

    def scaled(self, width: float) -> "Layout":
        """The layout with `channels` and `hidden` times `width`, at least one each."""
        channels = tuple(max(1, round(one * width)) for one in self.channels)
        return replace(self, channels=channels, hidden=max(1, round(self.hidden * width)))

    def map_size(self, stage: str) -> tuple[int, int]:
        """The size (channels, frames) of the maps of a stage below fc6."""
        size: Sequence[int] = self.input_size
        for name in STAGES[: STAGES.index(stage) + 1]:
            if name.startswith("conv"):
                size = same_size(size, self.strides[int(name[-1]) - 1])
            elif name.startswith("pool"):
                size = same_size(size, 2)
        return size[0], size[1]

    def convolution(self, stage: str) -> tuple[int, int, int, int]:
        """Channels below, channels, kernel and stride of a convolution."""
        number = int(stage[-1]) - 1
        below = self.in_channels if number == 0 else self.channels[number - 1]
        return below, self.channels[number], self.kernels[number], self.strides[number]

    @property
    def features(self) -> int:
        """Inputs of the fully connected stage."""
        rows, columns = self.map_size("pool5")
        return self.channels[-1] * rows * columns

    @property
    def parameters(self) -> int:
        """Parameters without read-outs."""
        total = 0
        for position, stage in enumerate(STAGES):
            times = 1 if position < self.branch else self.tasks
            if stage == "fc6":
                total += times * (self.features + 1) * self.hidden
            elif stage.startswith("conv"):
                below, channels, kernel, _ = self.convolution(stage)
                total += times * channels * (below * kernel**2 + 1)
            elif stage.startswith("rnorm") and self.norm == "batch":
                total += times * 2 * self.channels[int(stage[-1]) - 1]
        return total

    def width_for(self, parameters: int) -> float:
        """The width whose number of parameters is closest to `parameters`.

        Raises CornetError if the narrowest network has more than twice as many.
        """
        steps = 4 * max(self.hidden, *self.channels)  # finer than any number of channels changes

        def count(step: int) -> int:
            return self.scaled(step / steps).parameters

        low, high = 1, steps
        while count(high) < parameters:
            low, high = high, 2 * high
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (middle, high) if count(middle) < parameters else (low, middle)
        best = min((low, high), key=lambda step: abs(count(step) - parameters))
        if count(best) > 2 * parameters:
            raise CornetError(
                f"parameters={parameters} is too few for branch={self.branch}, which has {count(1)} at its smallest; "
                "give more."
            )
        return best / steps

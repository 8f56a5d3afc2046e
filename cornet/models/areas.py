"""The four kinds of visual area of the CORnet family.

An area takes what the area below it (or the image) puts out in two parts, so that one area can be unrolled
in any of the three ways of `unroll`:

    drive = area.drive(below, step)            the input path; None stands for "nothing has arrived yet"
    state = area.step(drive, state, step)      one time step; the state is also the area's output

Sources: Kubilius et al. 2018 (bioRxiv 408385) for Z, R and RT; Kubilius, Schrimpf et al. 2019 (NeurIPS) for S.
No operation is in place: a recorded state is what the area put out.
"""

from typing import ClassVar

import torch.nn.functional as F
from torch import Tensor, nn

from cornet.models.norm import Beyond, NormMode, SteppedNorm

__all__ = ["BottleneckArea", "FeedforwardArea", "RecurrentArea", "StemArea"]


def conv_size(size: int, kernel: int, stride: int) -> int:
    """Pixels a side after a convolution or pooling padded by kernel // 2."""
    return (size + 2 * (kernel // 2) - kernel) // stride + 1


class FeedforwardArea(nn.Module):
    """CORnet-Z: convolution with bias, ReLU, max pool 3x3 with stride 2. One step.

    kernel, stride: of the convolution (published: V1 7 and 2, the others 3 and 1).
    """

    recurrent: ClassVar[bool] = False

    def __init__(self, in_channels: int, channels: int, kernel: int = 3, stride: int = 1):
        super().__init__()
        self.channels = channels
        self.conv = nn.Conv2d(in_channels, channels, kernel, stride, kernel // 2)
        self.pool = nn.MaxPool2d(3, 2, 1)

    def drive(self, below: Tensor, step: int) -> Tensor:
        return self.pool(F.relu(self.conv(below)))

    def step(self, drive: Tensor, state: Tensor | None, step: int) -> Tensor:
        return drive


class StemArea(nn.Module):
    """V1 of CORnet-S: convolution 7x7 stride 2, norm, ReLU, max pool, convolution 3x3, norm, ReLU. One step."""

    recurrent: ClassVar[bool] = False

    def __init__(self, in_channels: int, channels: int, norm: NormMode = "per_step"):
        super().__init__()
        self.channels = channels
        self.conv1 = nn.Conv2d(in_channels, channels, 7, 2, 3, bias=False)
        self.norm1 = SteppedNorm(channels, mode=norm)
        self.pool = nn.MaxPool2d(3, 2, 1)
        self.conv2 = nn.Conv2d(channels, channels, 3, 1, 1, bias=False)
        self.norm2 = SteppedNorm(channels, mode=norm)

    def drive(self, below: Tensor, step: int) -> Tensor:
        x = self.pool(F.relu(self.norm1(self.conv1(below))))
        return F.relu(self.norm2(self.conv2(x)))

    def step(self, drive: Tensor, state: Tensor | None, step: int) -> Tensor:
        return drive


class RecurrentArea(nn.Module):
    """CORnet-R and -RT: an input path, to which the previous state is added, then convolution, norm, ReLU.

    kernel, stride: of the input convolution (published: V1 7 and 4, the others 3 and 2).
    """

    recurrent: ClassVar[bool] = True

    def __init__(
        self,
        in_channels: int,
        channels: int,
        steps: int,
        kernel: int = 3,
        stride: int = 2,
        norm: NormMode = "group",
        beyond: Beyond = "last",
    ):
        super().__init__()
        self.channels = channels
        self.conv_input = nn.Conv2d(in_channels, channels, kernel, stride, kernel // 2)
        self.norm_input = SteppedNorm(channels, steps, norm, beyond)
        self.conv1 = nn.Conv2d(channels, channels, 3, 1, 1, bias=False)
        self.norm1 = SteppedNorm(channels, steps, norm, beyond)

    def output_size(self, size: tuple[int, int]) -> tuple[int, int]:
        """(y, x) of the output for an input of that size."""
        conv = self.conv_input
        return (
            conv_size(size[0], conv.kernel_size[0], conv.stride[0]),
            conv_size(size[1], conv.kernel_size[1], conv.stride[1]),
        )

    def drive(self, below: Tensor, step: int) -> Tensor:
        return F.relu(self.norm_input(self.conv_input(below), step))

    def step(self, drive: Tensor, state: Tensor | None, step: int) -> Tensor:
        x = drive if state is None else drive + state
        return F.relu(self.norm1(self.conv1(x), step))


class BottleneckArea(nn.Module):
    """V2, V4 and IT of CORnet-S: a bottleneck block that runs several times with a hard gate.

    The input is seen at the first step only; then the state takes its place. Convolutions are shared over
    steps, norms are not (in mode "per_step").

    bottleneck: the inner width is bottleneck x channels (published: 4).
    """

    recurrent: ClassVar[bool] = True

    def __init__(
        self,
        in_channels: int,
        channels: int,
        steps: int,
        bottleneck: float = 4,
        norm: NormMode = "per_step",
        beyond: Beyond = "last",
    ):
        super().__init__()
        self.channels = channels
        inner = max(1, round(channels * bottleneck))
        self.conv_input = nn.Conv2d(in_channels, channels, 1, bias=False)
        self.skip = nn.Conv2d(channels, channels, 1, 2, bias=False)
        self.norm_skip = SteppedNorm(channels, mode=norm)
        self.conv1 = nn.Conv2d(channels, inner, 1, bias=False)
        self.conv2 = nn.Conv2d(inner, inner, 3, 2, 1, bias=False)
        self.conv3 = nn.Conv2d(inner, channels, 1, bias=False)
        self.norm1 = SteppedNorm(inner, steps, norm, beyond)
        self.norm2 = SteppedNorm(inner, steps, norm, beyond)
        self.norm3 = SteppedNorm(channels, steps, norm, beyond)

    def drive(self, below: Tensor, step: int) -> Tensor:
        return self.conv_input(below)

    def step(self, drive: Tensor, state: Tensor | None, step: int) -> Tensor:
        first = state is None
        x = drive if first else state
        skip = self.norm_skip(self.skip(x)) if first else x
        x = F.relu(self.norm1(self.conv1(x), step))
        x = F.conv2d(x, self.conv2.weight, stride=2 if first else 1, padding=1)
        x = F.relu(self.norm2(x, step))
        x = self.norm3(self.conv3(x), step)
        return F.relu(x + skip)

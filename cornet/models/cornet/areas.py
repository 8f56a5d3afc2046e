"""Areas of CORnet-Z, -R and -RT, and V1 of CORnet-S (its other areas: `cornet.models.cornet.bottleneck`).

    drive = area.drive(below, step)            the input path
    state = area.step(drive, state, step)      one time step; the state is also the area's output
    area.channels                              channels of its drive and of its output
    area.drive_depth, area.step_depth          convolutions in sequence in the input path, and in one step
    area.work(size, drives, steps)             multiply-adds per image, and the (y, x) of its output

Maps are (batch, channel, y, x), or (1, channel, y, x) at steps before the image has arrived. Steps count from 0; the
initial state is None. No operation is in place, so recorded states stay valid.

Sources: Kubilius et al. 2018 (bioRxiv 408385) for Z, R and RT; Kubilius, Schrimpf et al. 2019 (NeurIPS) for S.
"""

import math

import torch.nn.functional as F
from torch import Tensor, nn

from cornet.models.cornet.norm import LaterSteps, NormMode, SteppedNorm

__all__ = ["FeedforwardArea", "RecurrentArea", "Size", "StemArea", "conv_macs", "output_size"]

Size = tuple[int, int]


def output_size(size: Size, stride: int) -> Size:
    """Output (y, x) of a convolution or pooling with an odd kernel k and padding k // 2."""
    return (size[0] - 1) // stride + 1, (size[1] - 1) // stride + 1


def conv_macs(conv: nn.Conv2d, size: Size, stride: int | None = None) -> tuple[int, Size]:
    """Multiply-adds of a convolution on one map of `size` (y, x), and its output (y, x)."""
    out = output_size(size, stride or conv.stride[0])
    return conv.weight.numel() * math.prod(out), out


class FeedforwardArea(nn.Module):
    """CORnet-Z: convolution with bias, ReLU, max pool 3x3. One step.

    kernel, stride: of the convolution (published: V1 7 and 2, other areas 3 and 1). pool: stride of the pooling (2).
    """

    drive_depth, step_depth = 1, 0

    def __init__(self, in_channels: int, channels: int, kernel: int = 3, stride: int = 1, pool: int = 2):
        super().__init__()
        self.channels = channels
        self.conv = nn.Conv2d(in_channels, channels, kernel, stride, kernel // 2)
        self.pool = nn.MaxPool2d(3, pool, 1)
        self.pool_stride = pool

    def drive(self, below: Tensor, step: int) -> Tensor:
        return self.pool(F.relu(self.conv(below)))

    def step(self, drive: Tensor, state: Tensor | None, step: int) -> Tensor:
        return drive

    def work(self, size: Size, drives: int, steps: int) -> tuple[int, Size]:
        macs, size = conv_macs(self.conv, size)
        return drives * macs, output_size(size, self.pool_stride)


class StemArea(nn.Module):
    """V1 of CORnet-S: convolution 7x7 stride 2, norm, ReLU, max pool, convolution 3x3, norm, ReLU. One step."""

    drive_depth, step_depth = 2, 0

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

    def work(self, size: Size, drives: int, steps: int) -> tuple[int, Size]:
        first, size = conv_macs(self.conv1, size)
        second, size = conv_macs(self.conv2, output_size(size, 2))
        return drives * (first + second), size


class RecurrentArea(nn.Module):
    """CORnet-R and -RT: input path plus previous state, then convolution, norm, ReLU.

    steps: number of steps that the norms are trained for.
    kernel, stride: of the input convolution (published: V1 7 and 4, other areas 3 and 2).
    norm, later_steps, first_driven: as in `cornet.models.cornet.norm.SteppedNorm`.
    """

    drive_depth, step_depth = 1, 1

    def __init__(
        self,
        in_channels: int,
        channels: int,
        steps: int,
        kernel: int = 3,
        stride: int = 2,
        norm: NormMode = "group",
        later_steps: LaterSteps = "last",
        first_driven: int = 0,
    ):
        super().__init__()
        self.channels = channels
        self.conv_input = nn.Conv2d(in_channels, channels, kernel, stride, kernel // 2)
        self.norm_input = SteppedNorm(channels, steps, norm, later_steps, first_driven)
        self.conv1 = nn.Conv2d(channels, channels, 3, 1, 1, bias=False)
        self.norm1 = SteppedNorm(channels, steps, norm, later_steps, first_driven)

    def drive(self, below: Tensor, step: int) -> Tensor:
        return F.relu(self.norm_input(self.conv_input(below), step))

    def step(self, drive: Tensor, state: Tensor | None, step: int) -> Tensor:
        x = drive if state is None else drive + state
        return F.relu(self.norm1(self.conv1(x), step))

    def work(self, size: Size, drives: int, steps: int) -> tuple[int, Size]:
        drive, size = conv_macs(self.conv_input, size)
        step, size = conv_macs(self.conv1, size)
        return drives * drive + steps * step, size

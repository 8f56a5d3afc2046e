"""Recurrent bottleneck of CORnet-S, and its circuit variants from figure 4 of the 2019 paper.

    input convolution -> gate -> conv 1 (expand) -> norm -> ReLU -> conv 2 (stride 2 at the first step) -> norm -> ReLU
        -> conv 3 (contract) -> norm -> + skip (strided at the first step) -> ReLU -> output, the state of the next step

Choices that the paper does not specify:

* loop=2, the state re-enters at conv 2: conv 1 keeps C channels and runs once, in the input path; conv 2 expands.
* convolutions=2, conv 2 and 3 only: conv 2 expands, and the state re-enters there.
* gate="soft": the loop reads sigmoid(input + state), at the first step sigmoid(input). After the strided step, the
  input is average-pooled over 2 x 2 pixels to match the size of the state.

Source: Kubilius, Schrimpf et al. 2019 (NeurIPS), section 2 and figure 4.
"""

from typing import Literal, get_args

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cornet.errors import CornetError, check_choice
from cornet.models.cornet.areas import Size, conv_macs
from cornet.models.cornet.norm import LaterSteps, NormMode, SteppedNorm

__all__ = ["BottleneckArea", "Gate"]

Gate = Literal["hard", "soft"]


class BottleneckArea(nn.Module):
    """V2, V4 and IT of CORnet-S: a bottleneck block that runs for several steps.

    All steps share the convolutions, but not the norms (in mode "per_step").

    steps: number of steps that the norms are trained for.
    bottleneck: inner width in units of `channels` (published: 4).
    norm, later_steps: as in `cornet.models.cornet.norm.SteppedNorm`.
    gate: "hard": the block reads its input at the first step, later its own state (published); "soft": see above.
    loop: convolution at which the state re-enters, 1 (published) or 2; None: the first one of the block.
    convolutions: 3 (published), or 2 to omit conv 1.
    skip: whether the block has a skip connection.
    stride: of conv 2 and the skip connection at the first step.

    Raises CornetError for an unknown circuit.
    """

    def __init__(
        self,
        in_channels: int,
        channels: int,
        steps: int,
        bottleneck: float = 4,
        norm: NormMode = "per_step",
        later_steps: LaterSteps = "last",
        gate: Gate = "hard",
        loop: int | None = None,
        convolutions: int = 3,
        skip: bool = True,
        stride: int = 2,
    ):
        super().__init__()
        check_circuit(gate, loop, convolutions, skip)
        self.channels = channels
        self.soft, self.skips, self.stride = gate == "soft", skip, stride
        self.expands = convolutions == 3 and loop != 2  # whether conv 1 is in the loop and expands
        inner = max(1, round(channels * bottleneck))
        self.conv_input = nn.Conv2d(in_channels, channels, 1, bias=False)
        if skip:
            self.skip = nn.Conv2d(channels, channels, 1, stride, bias=False)
            self.norm_skip = SteppedNorm(channels, mode=norm)
        if convolutions == 3:
            self.conv1 = nn.Conv2d(channels, inner if self.expands else channels, 1, bias=False)
        self.conv2 = nn.Conv2d(inner if self.expands else channels, inner, 3, stride, 1, bias=False)
        self.conv3 = nn.Conv2d(inner, channels, 1, bias=False)
        if convolutions == 3:
            own = self.conv1.out_channels
            self.norm1 = (
                SteppedNorm(own, steps, norm, later_steps) if self.expands else SteppedNorm(own, mode=norm)
            )
        self.norm2 = SteppedNorm(inner, steps, norm, later_steps)
        self.norm3 = SteppedNorm(channels, steps, norm, later_steps)

    @property
    def drive_depth(self) -> int:
        """Number of convolutions in the input path."""
        return 2 if hasattr(self, "conv1") and not self.expands else 1

    @property
    def step_depth(self) -> int:
        """Number of convolutions in a step."""
        return 3 if self.expands else 2

    def drive(self, below: Tensor, step: int) -> Tensor:
        x = self.conv_input(below)
        return F.relu(self.norm1(self.conv1(x))) if self.drive_depth == 2 else x

    def step(self, drive: Tensor, state: Tensor | None, step: int) -> Tensor:
        # conv 2 has its stride at the first step only, where the map shrinks.
        first = state is None
        x = self.loop_input(drive, state)
        skipped = self.norm_skip(self.skip(x)) if self.skips and first else x
        if self.expands:
            x = F.relu(self.norm1(self.conv1(x), step))
        x = F.conv2d(x, self.conv2.weight, stride=self.stride if first else 1, padding=1)
        x = F.relu(self.norm2(x, step))
        x = self.norm3(self.conv3(x), step)
        return F.relu(x + skipped) if self.skips else F.relu(x)

    def loop_input(self, drive: Tensor, state: Tensor | None) -> Tensor:
        """Return what the loop reads: the input, the state, or (soft gate) a sigmoid of their sum."""
        if not self.soft:
            return drive if state is None else state
        if state is None:
            return torch.sigmoid(drive)
        if self.stride > 1:
            drive = F.avg_pool2d(drive, self.stride, ceil_mode=True)
        return torch.sigmoid(drive + state)

    def work(self, size: Size, drives: int, steps: int) -> tuple[int, Size]:
        macs, size = conv_macs(self.conv_input, size)
        if self.drive_depth == 2:
            macs += conv_macs(self.conv1, size)[0]
        macs *= drives
        for step in range(steps):
            if step == 0 and self.skips:
                macs += conv_macs(self.skip, size)[0]
            if self.expands:
                macs += conv_macs(self.conv1, size)[0]
            middle, size = conv_macs(self.conv2, size, stride=1 if step else self.stride)
            macs += middle + conv_macs(self.conv3, size)[0]
        return macs, size


def check_circuit(gate: str, loop: int | None, convolutions: int, skip: bool) -> None:
    """Raise CornetError for an unknown circuit."""
    check_choice("gate", gate, get_args(Gate))
    if convolutions not in (2, 3) or isinstance(convolutions, bool):
        raise CornetError(
            f"convolutions={convolutions!r} is unknown; choose 3, or 2 for a block without conv 1."
        )
    if not isinstance(skip, bool):
        raise CornetError(f"skip={skip!r} is unknown; choose true or false.")
    valid = (1, 2) if convolutions == 3 else (2,)
    if loop is not None and (loop not in valid or isinstance(loop, bool)):
        why = (
            "a block of convolutions=2 has no conv 1"
            if loop == 1
            else "conv 3 contracts, and the state is already contracted"
            if loop == 3
            else f"a block has no conv {loop}"
        )
        raise CornetError(
            f"loop={loop!r} is impossible: {why}; choose {' or '.join(map(str, valid))}, or omit it."
        )

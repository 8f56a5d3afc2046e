"""VGG-16 of any width, in the layout of torchvision, whose module computes its convolutions.

    train.py model=vgg16                        # as published
    net = VGG16(num_classes=100, width=0.125, grid=2)

Source: Simonyan, Zisserman 2015 (configuration D), without batch norm. It is a plain torch.nn.Module: it has layers,
and no areas that stand for regions of a brain.
"""

import math
from collections.abc import Sequence

from torch import Tensor, nn
from torchvision.models.vgg import make_layers

from cornet.errors import CornetError
from cornet.sizes import MAX_CHANNELS, check_positive, check_positive_int

__all__ = ["VGG16"]

BLOCKS = ((64, 64), (128, 128), (256, 256, 256), (512, 512, 512), (512, 512, 512))
HIDDEN, GRID = 4096, 7
STD = 0.01


class VGG16(nn.Module):
    """Thirteen convolutions with ReLU in five blocks, a max pool after each, and three linear layers.

    num_classes: outputs. width: multiplies the channels and the hidden units of the linear layers. dropout: after each
    hidden linear layer. grid: parts per side of the last map, whose averages the linear layers read; published: 7,
    which is the whole map of an image of 224 pixels.

    The keys of the state dict are those of torchvision's vgg16, so its weights load at width 1. Weights start as
    published: Kaiming normal by the fan-out in convolutions, normal with a standard deviation of 0.01 in linear layers,
    biases 0. In a narrow network, the deviation of linear layers is larger, so that their output has the variance that
    it has at width 1.

    `labels` has the usual name of each layer with weights, {"features.0": "conv1_1", ...}; `chain` lists the modules.
    Raises CornetError for arguments out of range.
    """

    def __init__(
        self, num_classes: int = 1000, width: float = 1.0, dropout: float = 0.5, grid: int = GRID
    ) -> None:
        check_positive_int("num_classes", num_classes)
        check_positive("width", width)
        check_positive_int("grid", grid, 32)
        if not 0 <= dropout < 1:
            raise CornetError(f"dropout={dropout!r} must be a share from 0 to below 1, such as 0.5.")
        if HIDDEN * width > MAX_CHANNELS:
            raise CornetError(f"width={width!r} makes a layer of more than {MAX_CHANNELS:,} units; lower it.")
        super().__init__()
        blocks = [[max(1, round(width * channels)) for channels in block] for block in BLOCKS]
        hidden = max(1, round(width * HIDDEN))
        self.num_classes = int(num_classes)
        self.features = make_layers([entry for block in blocks for entry in (*block, "M")])
        self.avgpool = nn.AdaptiveAvgPool2d((grid, grid))
        self.classifier = nn.Sequential(
            nn.Linear(blocks[-1][-1] * grid**2, hidden),
            nn.ReLU(True),
            nn.Dropout(p=dropout),
            nn.Linear(hidden, hidden),
            nn.ReLU(True),
            nn.Dropout(p=dropout),
            nn.Linear(hidden, self.num_classes),
        )
        self.labels = layer_labels(self, blocks)
        self.initialise()

    def initialise(self) -> None:
        """Draw the initial weights."""
        published = (BLOCKS[-1][-1] * GRID**2, HIDDEN, HIDDEN)
        linear = [part for part in self.classifier if isinstance(part, nn.Linear)]
        for part in self.features:
            if isinstance(part, nn.Conv2d):
                nn.init.kaiming_normal_(part.weight, mode="fan_out", nonlinearity="relu")
                assert part.bias is not None
                nn.init.zeros_(part.bias)
        for part, inputs in zip(linear, published, strict=True):
            nn.init.normal_(part.weight, 0, STD * max(1.0, math.sqrt(inputs / part.in_features)))
            nn.init.zeros_(part.bias)

    def chain(self) -> list[tuple[str, nn.Module]]:
        """(name, module) of the modules that, applied one after another, compute the logits."""
        return [
            *((f"features.{name}", part) for name, part in self.features.named_children()),
            ("avgpool", self.avgpool),
            ("flatten", nn.Flatten()),
            *((f"classifier.{name}", part) for name, part in self.classifier.named_children()),
        ]

    def forward(self, images: Tensor) -> Tensor:
        """Logits (batch, class) from normalised images (batch, 3, y, x) of at least 32 pixels per side."""
        logits: Tensor = self.classifier(self.avgpool(self.features(images)).flatten(1))
        return logits


def layer_labels(net: VGG16, blocks: Sequence[Sequence[int]]) -> dict[str, str]:
    """{name of a module: conv1_1 ... conv5_3, fc6, fc7, fc8}."""
    names = [name for name, part in net.named_modules() if isinstance(part, nn.Conv2d | nn.Linear)]
    convolutions = [f"conv{b}_{k}" for b, block in enumerate(blocks, 1) for k in range(1, len(block) + 1)]
    return dict(zip(names, [*convolutions, "fc6", "fc7", "fc8"], strict=True))

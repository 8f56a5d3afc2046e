"""A network of your own in cornet's training, compared with a brain by the layers that you name.

    cd examples
    python ../train.py model=own model._target_=own_network.Residual +model.channels=16 \
        'brain.layers={V4: middle, IT: late}'
"""

from torch import Tensor, nn


class Residual(nn.Module):
    """Three stages with a residual connection each. channels: of the first stage; each stage doubles them."""

    def __init__(self, num_classes: int, channels: int = 16) -> None:
        super().__init__()
        self.early = Stage(3, channels)
        self.middle = Stage(channels, 2 * channels)
        self.late = Stage(2 * channels, 4 * channels)
        self.head = nn.Linear(4 * channels, num_classes)

    def forward(self, images: Tensor) -> Tensor:
        features = self.late(self.middle(self.early(images)))
        logits: Tensor = self.head(features.mean(dim=(2, 3)))
        return logits


class Stage(nn.Module):
    """A convolution that halves the image, and a residual one."""

    def __init__(self, below: int, channels: int) -> None:
        super().__init__()
        self.down = nn.Conv2d(below, channels, 3, stride=2, padding=1)
        self.norm = nn.BatchNorm2d(channels)
        self.residual = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, images: Tensor) -> Tensor:
        features = self.norm(self.down(images)).relu()
        output: Tensor = (features + self.residual(features)).relu()
        return output

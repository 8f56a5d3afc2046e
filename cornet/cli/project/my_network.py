"""Two networks of my own. `model._target_` in conf/experiment/mine.yaml names one; the other keys are its arguments.

`num_classes` is given by cornet: the number of classes of the images.
"""

from torch import Tensor, nn

from cornet.models import CORnet


class MyNetwork(nn.Module):
    """Four convolutions and a linear read-out: any module from images (batch, 3, y, x) to logits (batch, class).

    The images are normalised by the mean and std of their source. channels: of V1; each area doubles them.
    """

    def __init__(self, num_classes: int, channels: int = 16) -> None:
        super().__init__()
        self.V1 = area(3, channels, kernel=7)
        self.V2 = area(channels, 2 * channels)
        self.V4 = area(2 * channels, 4 * channels)
        self.IT = area(4 * channels, 8 * channels)
        self.decoder = nn.Linear(8 * channels, num_classes)

    def forward(self, images: Tensor) -> Tensor:
        features = self.IT(self.V4(self.V2(self.V1(images))))
        logits: Tensor = self.decoder(features.mean(dim=(2, 3)))
        return logits


def area(below: int, channels: int, kernel: int = 3) -> nn.Sequential:
    """A convolution that halves the image."""
    convolution = nn.Conv2d(below, channels, kernel, stride=2, padding=kernel // 2, bias=False)
    return nn.Sequential(convolution, nn.BatchNorm2d(channels), nn.ReLU())


class MyCORnet(CORnet):
    """The alternative: a CORnet with another circuit. cornet knows its areas, so it is scored on brain data.

    Every argument of `cornet.models.CORnet` can be set here or in the configuration. width: multiplies the channels.
    """

    def __init__(self, num_classes: int, width: float = 0.1) -> None:
        steps = {"V2": 2, "V4": 4, "IT": 2}
        super().__init__(num_classes, block="bottleneck", times=steps, gate="soft", width=width)

"""Predict neuroids from images as a differentiable module: a screen, a stage of a network, a mapping.

An image is a square of the visual angle of the natural stimuli. It is centred on the network's screen, on mid-grey, as
they are; if they span more than the screen, it fills the screen.
"""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from cornet.errors import CornetError
from cornet.stimuli.screen import GREY, check_degrees, first_margin
from cornet.synthesis.driven.mapping import FittedMapping
from cornet.synthesis.stage import Stage

__all__ = ["Predictor", "image_side", "to_images", "to_pixels"]


class Predictor(nn.Module):
    """Images (image, channel, y, x) in -1..1 to predicted responses (image, neuroid), standardised.

    stage: of a network. fitted: a mapping from its states. columns: (neuroid,), positions of the neuroids to predict in
    the mapping. mean, deviation: (neuroid,), of the mapping's training responses: predictions are divided by the
    deviation after subtraction of the mean, so that weights of the total variation mean the same for all units.
    """

    mean: Tensor
    deviation: Tensor

    def __init__(
        self,
        stage: Stage,
        fitted: FittedMapping,
        columns: NDArray[np.int64],
        mean: NDArray[np.float64],
        deviation: NDArray[np.float64],
    ) -> None:
        super().__init__()
        self.stage, self.mapping = stage, fitted.module
        self.columns = torch.from_numpy(columns)
        for name, values in (("mean", mean), ("deviation", deviation)):
            self.register_buffer(name, torch.as_tensor(values, dtype=torch.float32, device=stage.mean.device))

    def forward(self, images: Tensor) -> Tensor:
        responses: Tensor = self.mapping(self.stage(self.on_screen((images + 1) / 2)))
        return (responses[:, self.columns] - self.mean) / self.deviation

    def responses(self, images: Tensor) -> Tensor:
        """Predictions in the unit of the responses, without gradients, (image, neuroid)."""
        with torch.no_grad():
            standardised: Tensor = self(images)
            return standardised * self.deviation + self.mean

    def on_screen(self, images: Tensor) -> Tensor:
        """Images in 0..1 in the centre of the screen, placed as `place_on_screen` does."""
        margin = self.stage.size - images.shape[-1]
        if margin == 0:
            return images
        before = first_margin(images.shape[-1], self.stage.size)
        sides = (before, margin - before, before, margin - before)
        return nn.functional.pad(images, sides, value=GREY / 255)


def image_side(screen: int, screen_degrees: float, degrees: float) -> int:
    """Pixels per side of an image that spans `degrees`, on a screen of `screen` pixels and `screen_degrees`.

    Raises CornetError for visual angles that do not fit together, and for an image of fewer than 16 pixels.
    """
    check_degrees(degrees, screen_degrees)
    side = min(screen, round(screen * degrees / screen_degrees))
    if side < 16:
        raise CornetError(
            f"images of {degrees:g} degrees have {side} pixels on a screen of {screen} pixels and {screen_degrees:g} "
            "degrees, but at least 16 are needed; give a larger --size."
        )
    return side


def to_pixels(images: Tensor) -> NDArray[np.uint8]:
    """Images (image, channel, y, x) in -1..1 as 8-bit ones, (image, y, x, channel)."""
    levels = ((images.detach().cpu().double() + 1) * 127.5).round().clamp(0, 255)
    return levels.to(torch.uint8).permute(0, 2, 3, 1).numpy()


def to_images(pixels: NDArray[np.uint8]) -> Tensor:
    """The reverse of `to_pixels`, float32."""
    return torch.from_numpy(pixels.astype(np.float32)).permute(0, 3, 1, 2) / 127.5 - 1

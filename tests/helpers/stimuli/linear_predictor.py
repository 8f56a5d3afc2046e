"""A predictor of linear neuroids on small images, without a network."""

import numpy as np
import torch
from torch import nn

from cornet.synthesis.driven.mapping import FittedMapping, LinearMapping
from cornet.synthesis.driven.predictor import Predictor


class Pixels(nn.Module):
    """A stage whose states are the pixels of the screen."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.size = size
        self.register_buffer("mean", torch.zeros(3, 1, 1))

    def forward(self, images):
        return images[:, :1]


def linear_predictor(size: int = 8, neuroids: int = 3, screen: int | None = None) -> Predictor:
    """Neuroids with random weights of the pixels of a screen, mean 2 and standard deviation 0.5."""
    screen = screen or size
    weights = torch.randn(screen * screen, neuroids, generator=torch.Generator().manual_seed(0))
    module = LinearMapping(weights, torch.ones(neuroids))
    empty = np.zeros(neuroids)
    fitted = FittedMapping(module, empty, np.zeros((1, neuroids)), empty, "linear")
    columns, mean, deviation = np.arange(neuroids), np.full(neuroids, 2.0), np.full(neuroids, 0.5)
    return Predictor(Pixels(screen), fitted, columns, mean, deviation).eval()

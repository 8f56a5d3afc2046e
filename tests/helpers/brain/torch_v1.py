"""V1 of the simulated brain in torch: the same closed form, differentiable, from the same filters."""

import numpy as np
import torch
from torch import Tensor, nn

from cornet.brain.simulated import early
from cornet.brain.simulated.randomness import uniform


class TorchV1(nn.Module):
    """Images (image, 1, y, x) in 0..1 to the drive of V1, (image, neuroid)."""

    def __init__(self, size: int, neuroids: int, seed: int) -> None:
        super().__init__()
        unit = np.arange(neuroids)
        frequency, angle = early._tuning(seed, "V1", unit)
        x, y = (0.25 + 0.5 * uniform(seed, "V1", unit, axis) for axis in ("x", "y"))
        # The filters are linear: their responses to images of single pixels, in blocks.
        pixels = np.eye(size * size, dtype=np.uint8).reshape(-1, size, size) * 255
        found = [early._quadrature(part, x, y, frequency, angle) for part in np.array_split(pixels, 8)]
        self.even, self.odd = (
            torch.from_numpy(np.concatenate(one)).float() for one in zip(*found, strict=True)
        )
        across, down = early._offsets(size, x, y)
        window = np.exp(-(across**2 + down**2) / (2 * (1.5 * early._spread(frequency))[:, None, None] ** 2))
        window /= window.sum((1, 2), keepdims=True)
        self.window = torch.from_numpy(window.reshape(neuroids, -1).T.copy()).float()
        self.phase = torch.from_numpy(2 * np.pi * uniform(seed, "V1", unit, "phase")).float()
        self.simple = torch.from_numpy(uniform(seed, "V1", unit, "simple") < early._SIMPLE)

    def forward(self, images: Tensor) -> Tensor:
        flat = images.flatten(1)
        even, odd = flat @ self.even, flat @ self.odd
        simple = (even * self.phase.cos() + odd * self.phase.sin()).relu()
        energy = (even.square() + odd.square() + 1e-12).sqrt()
        mean = flat @ self.window
        contrast = (flat.square() @ self.window - mean.square()).clamp(min=1e-8).sqrt()
        return torch.where(self.simple, simple, energy) / (early._CONTRAST + contrast)

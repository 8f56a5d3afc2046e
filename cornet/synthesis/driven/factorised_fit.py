"""Fit factorised mappings: weights of positions times weights of channels (Klindt et al. 2017; Bashivan et al. 2019).

Adam on the squared error, with L2 on both kinds of weights and a Laplacian penalty that keeps the weights of positions
smooth. All neuroids, and all candidate penalties, are fitted at once: each has weights of its own.
"""

from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from cornet.errors import CornetError
from cornet.synthesis.driven.factorised import FactorisedMapping
from cornet.synthesis.driven.mapping import FittedMapping, held_out_r

__all__ = ["PENALTIES", "fit_factorised"]

PENALTIES = (0.001, 0.01, 0.1)
"""Candidates, in units of the variance of a response: for standardised channels and responses."""

STEPS, RATE = 300, 0.03
OUTER = 5
"""Folds of the cross-validation: those of the caller are joined."""

LAPLACE = torch.tensor([[0.0, -0.25, 0.0], [-0.25, 1.0, -0.25], [0.0, -0.25, 0.0]])


def fit_factorised(
    states: Any,
    responses: NDArray[np.float64],
    folds: NDArray[np.int64],
    device: torch.device | str = "cpu",
    seed: int = 0,
) -> FittedMapping:
    """Fit to all images, and cross-validate.

    states: (image, channel, y, x), standardised here by channel. responses: (image, neuroid), NaN where missing. folds:
    (image,). In each of five folds, the penalty of a neuroid is chosen on the next fold, and its prediction comes from
    the fit to the other three. The fit to all images has the penalty with the smallest mean error over these choices.

    Raises CornetError for states without positions.
    """
    if len(states.shape) != 4:
        raise CornetError(
            f"a factorised mapping needs states (image, channel, y, x), not {len(states.shape) - 1} dimensions for an "
            "image; choose an area with positions, or --mapping ridge."
        )
    X = torch.as_tensor(np.asarray(states), dtype=torch.float32, device=device)
    centre, scale = X.mean(dim=(0, 2, 3), keepdim=True), X.std(dim=(0, 2, 3), keepdim=True)
    scale = torch.where(scale > 1e-6 * centre.abs().amax().clamp(min=1e-30), scale, torch.inf)
    X = (X - centre) / scale
    mean, deviation = np.nanmean(responses, axis=0), np.nanstd(responses, axis=0)
    varies = deviation > 0
    Y = np.divide(responses - mean, deviation, out=np.zeros_like(responses), where=varies)
    known = torch.as_tensor(np.isfinite(responses), device=device)
    answers = torch.nan_to_num(torch.as_tensor(Y, dtype=torch.float32, device=device))
    parts = torch.as_tensor(folds % OUTER, device=device)
    neuroids, count = responses.shape[1], len(PENALTIES)
    held_out = np.full(responses.shape, np.nan)
    errors = torch.zeros(count, neuroids)
    repeated = answers.repeat(1, count)  # neuroids of the first penalty, then of the second, ...
    strengths = torch.tensor(PENALTIES, device=device).repeat_interleave(neuroids)
    for fold in range(OUTER):
        test, check = parts == fold, parts == (fold + 1) % OUTER
        rows = ~(test | check)
        fitted = _fit(X[rows], repeated[rows], known[rows].repeat(1, count), strengths, seed)
        with torch.no_grad():
            wrong = (fitted(X[check]).unflatten(1, (count, -1)) - answers[check][:, None]).square()
            error = (wrong * known[check][:, None]).sum(dim=0).cpu()
            errors += error
            best = error.argmin(dim=0)
            predicted = fitted(X[test]).unflatten(1, (count, -1)).cpu()[:, best, torch.arange(neuroids)]
        held_out[test.cpu().numpy()] = predicted.double().numpy()
    chosen = errors.argmin(dim=0)
    final = _fit(X, answers, known, torch.tensor(PENALTIES)[chosen].to(device), seed)
    held_out = np.where(np.isfinite(responses), held_out * deviation, np.nan)
    size = torch.as_tensor(deviation, dtype=torch.float32, device=device)
    whole = nn.Sequential(
        _Standardised(centre, scale), final, _Rescaled(size, torch.as_tensor(mean).to(size))
    )
    space = final.space.detach().double().cpu().numpy()
    # A sign belongs to either factor: the weights of positions are drawn with a positive sum.
    space *= np.where(space.sum(axis=(1, 2), keepdims=True) < 0, -1, 1)
    return FittedMapping(
        whole.eval().requires_grad_(False),
        held_out_r(held_out, responses),
        held_out,
        np.array(PENALTIES)[chosen.numpy()],
        "factorised: weights of positions times weights of channels",
        space,
    )


class _Standardised(nn.Module):
    """States, (image, channel, y, x), minus a mean and divided by a standard deviation of each channel."""

    centre: Tensor
    scale: Tensor

    def __init__(self, centre: Tensor, scale: Tensor) -> None:
        super().__init__()
        self.register_buffer("centre", centre)
        self.register_buffer("scale", scale)

    def forward(self, states: Tensor) -> Tensor:
        return (states - self.centre) / self.scale


class _Rescaled(nn.Module):
    """Standardised responses, (image, neuroid), in their unit."""

    scale: Tensor
    mean: Tensor

    def __init__(self, scale: Tensor, mean: Tensor) -> None:
        super().__init__()
        self.register_buffer("scale", scale)
        self.register_buffer("mean", mean)

    def forward(self, responses: Tensor) -> Tensor:
        return responses * self.scale + self.mean


def _fit(X: Tensor, Y: Tensor, known: Tensor, strength: Tensor, seed: int) -> FactorisedMapping:
    """Fit Y, (image, neuroid), where known. strength: (neuroid,), the penalty of each."""
    channels, height, width = X.shape[1:]
    neuroids = Y.shape[1]
    generator = torch.Generator().manual_seed(seed)
    space = torch.full((neuroids, height, width), 1 / (height * width))
    features = torch.randn(neuroids, channels, generator=generator) / channels**0.5
    mapping = FactorisedMapping(space, features, torch.zeros(neuroids)).to(X.device)
    positions = height * width
    # Adam moves all weights alike, so both kinds are fitted on a scale near 1.
    scaled = nn.ParameterList(
        [mapping.space.detach() * positions, mapping.features.detach().clone(), mapping.bias]
    )
    optimiser = torch.optim.Adam(scaled.parameters(), lr=RATE)
    kernel = LAPLACE.to(X)[None, None]
    flat, weight = X.flatten(2), known.to(X) / known.sum(dim=0).clamp(min=1)
    for step in range(STEPS):
        for group in optimiser.param_groups:
            group["lr"] = RATE * (1 - step / STEPS)
        s, d, b = scaled[0], scaled[1], scaled[2]
        # (image, channel, position) by (neuroid, position), then by (neuroid, channel)
        drive = torch.einsum("icp,np,nc->in", flat, s.flatten(1) / positions, d) + b
        rough = F.conv2d(F.pad(s[:, None], (1, 1, 1, 1), mode="replicate"), kernel)[:, 0]
        penalty = s.square().mean(dim=(1, 2)) + d.square().sum(dim=1) + rough.square().sum(dim=(1, 2))
        loss = ((drive - Y).square() * weight).sum(dim=0) + strength * penalty
        optimiser.zero_grad()
        loss.sum().backward()
        optimiser.step()
    return FactorisedMapping(scaled[0].detach() / positions, scaled[1].detach(), scaled[2].detach())

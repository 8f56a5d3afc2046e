"""Compare a network's saliency maps with maps of what people find important: the harmonisation loss.

Fel, Rodriguez, Linsley & Serre (2022), NeurIPS: "Harmonizing the object recognition strategies of deep neural networks
with humans". Values equal those of the authors' code (serre-lab/Harmonization 0.0.9, TensorFlow).

    maps_of_network = saliency(net(images), images, labels)      # images.requires_grad_() before
    loss = cross_entropy + weight * harmonisation(maps_of_network, maps, tokens)

Saliency underflows in half precision: compute the logits and the images in float32.
"""

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from cornet.errors import check_choice
from cornet.sizes import check_positive_int

__all__ = ["gaussian_pyramid", "harmonisation", "pyramid_error", "saliency", "standardise_cut"]

EPSILON_SD = 1e-5
"""Added to the standard deviation. Saliency with global pooling has one of 1e-4 to 1e-3, so this is not negligible."""

EPSILON_PEAK = 1e-6
"""Added to the largest value of a map before it is divided by, and to that of the saliency."""

LEVELS = 5
"""Levels that the published loss compares, the unreduced maps included. At 224 pixels the last has 14."""

_KERNEL = (1.0, 4.0, 6.0, 4.0, 1.0)


def saliency(logits: Tensor, images: Tensor, labels: Tensor) -> Tensor:
    """Return the signed gradient of each image's true logit, averaged over its colours, (batch, y, x).

    logits: (batch, class), before the softmax, computed from `images`.
    images: (batch, channel, y, x), normalised, with requires_grad.
    labels: class indices (batch,), or weights (batch, class), such as one-hot labels.

    The graph is retained, so that a loss of the saliency can be differentiated. With batch normalisation in training
    mode, the logits of one image depend on the others; the gradient then includes their logits, as in the published
    training.
    """
    if labels.ndim == 1:
        true = logits.gather(1, labels[:, None])
    else:
        true = logits * labels.to(logits.dtype)
    (gradient,) = torch.autograd.grad(true.sum(), images, create_graph=True)
    return gradient.mean(dim=1)


def standardise_cut(maps: Tensor) -> Tensor:
    """Standardise each map over its pixels and set negative values to 0.

    maps: (batch, y, x), any unit. Returns z-scores of at least 0, (batch, y, x); 0 for a constant map.
    """
    mean = maps.mean(dim=(-2, -1), keepdim=True)
    sd = maps.std(dim=(-2, -1), correction=0, keepdim=True)  # its gradient is 0, not NaN, for a constant map
    return F.relu((maps - mean) / (sd + EPSILON_SD))


def gaussian_pyramid(maps: Tensor, levels: int = LEVELS) -> list[Tensor]:
    """Blur and halve maps repeatedly: a list of `levels` tensors (batch, y, x), of which the first is `maps`.

    Each level is the previous one correlated with outer([1 4 6 4 1]) / 256 at every second pixel. n pixels become
    ceil(n / 2). Zeros are padded as in TensorFlow's "SAME": for even n, one before and two after; for odd n, two each.
    """
    row = torch.tensor(_KERNEL, dtype=maps.dtype, device=maps.device)
    kernel = (torch.outer(row, row) / 256)[None, None]
    pyramid = [maps]
    while len(pyramid) < levels:
        level = pyramid[-1][:, None]
        padding = (*_same_padding(level.shape[-1]), *_same_padding(level.shape[-2]))
        pyramid.append(F.conv2d(F.pad(level, padding), kernel, stride=2)[:, 0])
    return pyramid


def harmonisation(
    saliency: Tensor,
    maps: Tensor,
    tokens: Tensor,
    levels: int = LEVELS,
    standardise: Literal["map", "levels"] = "map",
) -> Tensor:
    """Return the mean squared difference between saliency and human maps over the levels of a pyramid, a scalar.

    saliency: (batch, y, x), signed, any unit.
    maps: (batch, y, x), of people, at least 0, any unit: they are standardised and scaled to the saliency's peak.
    tokens: (batch,), 1 for an image with a map, 0 for one without. The mean is over the whole batch: if a quarter of
        the images has maps, the loss is a quarter.
    levels: number of levels, the unreduced maps included.
    standardise: "map": standardise, then build the pyramid, as the published code does; "levels": build the pyramid of
        the raw maps and standardise each level, as the paper writes it.

    Half precision is widened to float32. Raises CornetError for levels below 1 and an unknown `standardise`.
    """
    check_positive_int("levels", levels)
    check_choice("standardise", standardise, ("map", "levels"))
    wide = torch.promote_types(saliency.dtype, torch.float32)
    ours, theirs, weights = saliency.to(wide), maps.to(wide), tokens.to(wide)
    if standardise == "map":
        return pyramid_error(*_comparable(ours, theirs), weights, levels)
    raw = zip(gaussian_pyramid(ours, levels), gaussian_pyramid(theirs, levels), strict=True)
    return _mean_error([_comparable(a, b) for a, b in raw], weights)


def pyramid_error(a: Tensor, b: Tensor, tokens: Tensor, levels: int = LEVELS) -> Tensor:
    """Return the squared difference of two sets of maps (batch, y, x), times tokens (batch,), as a scalar.

    The mean over batch and pixels is taken at each level of the pyramid, then the mean over levels.
    """
    pairs = zip(gaussian_pyramid(a, levels), gaussian_pyramid(b, levels), strict=True)
    return _mean_error(list(pairs), tokens)


def _mean_error(pairs: list[tuple[Tensor, Tensor]], tokens: Tensor) -> Tensor:
    weights = tokens[:, None, None]
    return torch.stack([((a - b).square() * weights).mean() for a, b in pairs]).mean()


def _comparable(saliency: Tensor, maps: Tensor) -> tuple[Tensor, Tensor]:
    """Standardise both, and scale each human map to the peak of the saliency, which is a constant for the gradient."""
    ours, theirs = standardise_cut(saliency), standardise_cut(maps)
    target = ours.detach().amax(dim=(-2, -1), keepdim=True) + EPSILON_PEAK
    return ours, theirs / (theirs.amax(dim=(-2, -1), keepdim=True) + EPSILON_PEAK) * target


def _same_padding(pixels: int) -> tuple[int, int]:
    """Zeros before and after, for TensorFlow's "SAME" at kernel size 5 and stride 2."""
    total = max((-(-pixels // 2) - 1) * 2 + len(_KERNEL) - pixels, 0)
    return total // 2, total - total // 2

"""Small networks whose hidden units are known to serve one task, the other, or both."""

import torch
from torch import Tensor, nn

CLASSES = 4
GROUPS = {"faces": range(4), "objects": range(4, 8)}


def one_hot_images(repeats: int = 3) -> tuple[Tensor, Tensor]:
    """Images (image, 8) with the pixel of their class at 1, and their labels."""
    labels = torch.arange(2 * CLASSES).repeat(repeats)
    return torch.eye(2 * CLASSES)[labels], labels


def linear(weight: list[list[float]] | Tensor, bias: list[float] | None = None) -> nn.Linear:
    """A linear layer with these weights (output, input)."""
    values = torch.as_tensor(weight, dtype=torch.float32)
    layer = nn.Linear(values.shape[1], values.shape[0])
    with torch.no_grad():
        layer.weight.copy_(values)
        layer.bias.copy_(torch.zeros(len(values)) if bias is None else torch.tensor(bias))
    return layer


def separate_units() -> nn.Sequential:
    """Unit k serves class k alone, and so 0 to 3 the first task and 4 to 7 the second. All images are right."""
    eye = torch.eye(2 * CLASSES)
    return nn.Sequential(linear(eye), nn.ReLU(), linear(10 * eye)).eval()


def shared_units() -> nn.Sequential:
    """Unit k of four is at 1 for class k and at 2 for class k + 4, so both tasks need each alike. All are right."""
    eye = torch.eye(CLASSES)
    below = linear(torch.cat([eye, 2 * eye], dim=1))
    above = linear(torch.cat([10 * eye, 20 * eye]), [0.0] * CLASSES + [-15.0] * CLASSES)
    return nn.Sequential(below, nn.ReLU(), above).eval()


def redundant_units() -> nn.Sequential:
    """Units 0 and 1 serve class 0, which one of them is enough for. Class 1 needs both of the units 2 and 3."""
    below = linear([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0], [0.0, 1.0]])
    both = linear([[10.0, 10.0, 0.0, 0.0], [0.0, 0.0, 20.0, 20.0]], [0.0, -20.0])
    return nn.Sequential(below, nn.ReLU(), both, nn.ReLU(), linear(torch.eye(2))).eval()

"""A factorised mapping from an area to neuroids: where, and what (Klindt et al. 2017)."""

import torch
from torch import Tensor, nn

from cornet.errors import CornetError

__all__ = ["FactorisedMapping"]


class FactorisedMapping(nn.Module):
    """y_n = sum over positions of s_n times the sum over channels of d_n F, plus b_n.

    space: (neuroid, y, x), s. features: (neuroid, channel), d. bias: (neuroid,). Raises CornetError for shapes that do
    not match.
    """

    def __init__(self, space: Tensor, features: Tensor, bias: Tensor) -> None:
        super().__init__()
        if space.ndim != 3 or features.ndim != 2 or not len(space) == len(features) == len(bias):
            raise CornetError(
                f"space {tuple(space.shape)}, features {tuple(features.shape)} and bias {tuple(bias.shape)} must be "
                "(neuroid, y, x), (neuroid, channel) and (neuroid,)."
            )
        self.space, self.features, self.bias = (nn.Parameter(one.clone()) for one in (space, features, bias))

    def forward(self, states: Tensor) -> Tensor:
        """states: (image, channel, y, x) of the area. Returns (image, neuroid)."""
        return torch.einsum("icyx,nyx,nc->in", states, self.space, self.features) + self.bias

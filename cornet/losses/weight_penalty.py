"""A penalty on the size of the weights, as part of the loss."""

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _NormBase

from cornet.losses.base import Loss
from cornet.stimuli.samples import Batch
from cornet.tasks.base import Outputs, Task

__all__ = ["WeightPenalty"]

WITHOUT = (_NormBase, nn.GroupNorm, nn.LayerNorm, nn.Embedding)
TOKENS = ("cls_token", "class_token", "pos_embed", "pos_embedding")


class WeightPenalty(Loss):
    """Half the sum of the squares of all weights and biases in training, except norms, embeddings and class tokens.

    As in the training of harmonised networks (Fel et al. 2022), with the weight 1e-5. Unlike recipe.weight_decay it is
    in the loss, and includes biases; use one of them.
    """

    def __init__(self, weight: float = 1e-5) -> None:
        super().__init__(weight)

    def forward(self, net: nn.Module, task: Task, batch: Batch, outputs: Outputs) -> Tensor:
        counted = penalised(net)
        if not counted:
            return torch.zeros((), device=batch.inputs.device)
        return torch.stack([one.square().sum() for one in counted]).sum() / 2


def penalised(net: nn.Module) -> list[Tensor]:
    """The parameters that the penalty counts."""
    left_out = {
        id(one)
        for module in net.modules()
        if isinstance(module, WITHOUT)
        for one in module.parameters(recurse=False)
    }
    return [
        one
        for name, one in net.named_parameters()
        if one.requires_grad and id(one) not in left_out and name.rpartition(".")[2] not in TOKENS
    ]

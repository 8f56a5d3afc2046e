"""Layers of neurons with excitatory connections: the effective weight is the absolute value of a free parameter."""

import torch
from torch import Tensor, nn

from cornet.models.fly.norms import Norm, make_norm

__all__ = ["Expression", "Inhibition", "NeuronLayer"]


class NeuronLayer(nn.Module):
    """activity = dropout(post norm(ReLU(norm(|W| x + b)))).

    below, units: inputs and outputs. limits: of the uniform distribution of W at the start; None: those of `nn.Linear`,
    for W and b. bias: at the start. signed: use W in place of |W|. prune: connections of at most this weight are 0 (in
    every forward pass, and get no gradient); 0: none are. fixed: connections (units, below) that are used in place of
    trained ones. norm, post_norm: before and after the ReLU. dropout: share of the activities set to 0 in training.
    inhibition: of the neurons by each other.
    """

    def __init__(
        self,
        below: int,
        units: int,
        limits: tuple[float, float] | None,
        bias: float = 0.0,
        signed: bool = False,
        prune: float = 0.0,
        fixed: Tensor | None = None,
        norm: Norm = "none",
        post_norm: Norm = "none",
        dropout: float = 0.0,
        inhibition: "Inhibition | None" = None,
    ) -> None:
        super().__init__()
        self.signed, self.prune = signed, prune
        drawn = nn.Linear(below, units)  # the start of a signed layer
        self.weight: Tensor
        if fixed is None:
            self.weight = nn.Parameter(drawn.weight.detach().clone())
        else:
            self.register_buffer("weight", fixed)
        self.bias = nn.Parameter(drawn.bias.detach().clone())
        if limits is not None:
            with torch.no_grad():
                self.bias.fill_(bias)
                if fixed is None:
                    self.weight.uniform_(*limits)
        self.pre_norm, self.post_norm = make_norm(norm, units), make_norm(post_norm, units)
        self.dropout = nn.Dropout(dropout)
        self.inhibition = inhibition

    def effective(self) -> Tensor:
        """The weights of the connections, (units, below)."""
        weight = self.weight if self.signed else self.weight.abs()
        return torch.where(weight > self.prune, weight, 0.0) if self.prune else weight

    def forward(self, below: Tensor, copies: int = 1) -> Tensor:
        """below: (batch, input). copies: the inputs stand for so many equal copies of themselves, one after another.

        Equal inputs are added up before the product with them, which costs a fraction and changes only rounding.
        """
        weight = self.effective()
        if copies > 1:
            weight = weight.unflatten(1, (copies, -1)).sum(dim=1)
        if self.inhibition is not None:
            weight = self.inhibition.on_weights(weight)
        current = self.pre_norm(nn.functional.linear(below, weight, self.bias))
        rate = current.relu() if self.inhibition is None else self.inhibition(current)
        active: Tensor = self.dropout(self.post_norm(rate))
        return active


class Inhibition(nn.Module):
    """Inhibition of all neurons of a layer by their mean.

    strength: c. steps: of r <- ReLU(current - c mean(r)) from r = ReLU(current), the mean over neurons; 0: feed-forward
    inhibition, W - c mean(W), the mean over all connections.
    """

    def __init__(self, strength: float, steps: int = 10) -> None:
        super().__init__()
        self.strength, self.steps = strength, steps

    def on_weights(self, weight: Tensor) -> Tensor:
        """Weights with feed-forward inhibition; unchanged with recurrent inhibition."""
        return weight if self.steps else weight - self.strength * weight.mean()

    def forward(self, current: Tensor) -> Tensor:
        """(batch, neuron) to rates."""
        rate = current.relu()
        for _ in range(self.steps):
            rate = (current - self.strength * rate.mean(dim=1, keepdim=True)).relu()
        return rate


class Expression(nn.Module):
    """Receptor types expressed by receptor neurons: |W|, each neuron's weights divided by their sum; no bias; ReLU.

    receptors: types. neurons: receptor neurons. W at the start: uniform(0, 4 / receptors).
    """

    def __init__(self, receptors: int, neurons: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(neurons, receptors).uniform_(0, 4 / receptors))

    def effective(self) -> Tensor:
        """The share of each type in each neuron, (neuron, type); rows sum to 1."""
        weight = self.weight.abs()
        return weight / weight.sum(dim=1, keepdim=True)

    def forward(self, odours: Tensor) -> Tensor:
        return nn.functional.linear(odours, self.effective()).relu()

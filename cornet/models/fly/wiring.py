"""The connections of a network whose wiring is compared with anatomy."""

from dataclasses import dataclass

from torch import Tensor

__all__ = ["Wiring"]


@dataclass(frozen=True, eq=False)
class Wiring:
    """Connections of an olfactory circuit, by the names of the fly.

    receptors: types of receptors, N. glomeruli: from receptor neurons to projection neurons, (PN, ORN); receptor
    neuron j has the type j mod N unless `expression` says otherwise. claws: from projection neurons to Kenyon cells,
    (KC, PN). expression: share of each receptor type in each receptor neuron, (ORN, type), where it is trained.
    threshold: the weight above which a connection onto a Kenyon cell exists; None: not known.
    """

    receptors: int
    glomeruli: Tensor
    claws: Tensor
    expression: Tensor | None = None
    threshold: float | None = None

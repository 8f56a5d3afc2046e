"""The olfactory circuit of the fly: receptor neurons (ORN), projection neurons (PN), Kenyon cells (KC), classes.

Source: Wang, Sun, Axel, Abbott, Yang 2021 (Neuron 109:3879), "Evolving the olfactory system with machine learning".
Nothing of the wiring is built in: |W| of all connections is trained to name odours. The areas have no times, as the
network is feed-forward; those of the table are placeholders.
"""

from collections.abc import Mapping, Sequence
from typing import cast, get_args

import torch
from torch import Tensor, nn

from cornet.errors import CornetError, check_choice
from cornet.models.area_table import Area
from cornet.models.base import Depth, Network
from cornet.models.fly.layers import Expression, Inhibition, NeuronLayer
from cornet.models.fly.norms import Norm
from cornet.models.fly.wiring import Wiring
from cornet.models.registry import register
from cornet.sizes import check_positive_int

__all__ = ["Fly"]

ORN, PN, KC = "ORN", "PN", "KC"
MAX_UNITS = 100_000
MOST_KC = 40_000


class ReceptorNeurons(nn.Module):
    """Receptor neurons: copies of each type, neuron j of type j mod receptors, or types that are trained.

    expression: the trained types; None: copies. noise: standard deviation, in training and in evaluation.
    """

    def __init__(self, copies: int, expression: Expression | None, noise: float) -> None:
        super().__init__()
        self.copies, self.expression, self.noise = copies, expression, noise

    def forward(self, odours: Tensor) -> Tensor:
        """(batch, receptor) to (batch, neuron)."""
        rates = odours.repeat(1, self.copies) if self.expression is None else self.expression(odours)
        return rates + self.noise * torch.randn_like(rates) if self.noise else rates


@register("fly", inputs="odours", summary="olfactory circuit of the fly", paper="Wang et al. 2021 (Neuron)")
class Fly(Network):
    """Receptor neurons, projection neurons, Kenyon cells and a linear read-out.

    num_classes: odour classes. receptors: types, N. copies: receptor neurons of each type. pn, kc: numbers of neurons;
    pn=None: as many as receptors; kc=None: N^2, at most 40,000, as in the published growth of claws with N.
    prune: connections onto Kenyon cells of at most 1 / pn are 0 in every forward pass; their weights start from
        uniform(1 / pn, 4 / pn). False: uniform(0, 4 / pn), and none is 0.
    dropout: of Kenyon cells. noise: standard deviation of receptor neurons, in evaluation too.
    signed: train the connections onto projection neurons without |.|, from the start of nn.Linear.
    expression: also train which receptors each receptor neuron expresses.
    identity: each projection neuron reads its own receptor only (copies=1, pn=receptors), with weight 1.
    claws: Kenyon cells read this number of random projection neurons with weight 1, not trained; None: trained.
    glomeruli: projection neurons read this number of receptors each, in a circle, not trained; None: trained.
    norm_pn, norm_kc, post_norm_pn, post_norm_kc: before and after the ReLU, see `cornet.models.fly.norms`.
    inhibition, inhibition_steps: of Kenyon cells, see `Inhibition`; 0: none.
    kc_bias: of Kenyon cells at the start. fold: add up the weights of copies first; the result differs by rounding.

    Raises CornetError for numbers that do not fit together.
    """

    input_dims = 1

    def __init__(
        self,
        num_classes: int = 100,
        receptors: int = 50,
        copies: int = 10,
        pn: int | None = None,
        kc: int | None = 2500,
        prune: bool = True,
        dropout: float = 0.0,
        noise: float = 0.0,
        signed: bool = False,
        expression: bool = False,
        identity: bool = False,
        claws: int | None = None,
        glomeruli: int | None = None,
        norm_pn: Norm = "batch",
        norm_kc: Norm = "none",
        post_norm_pn: Norm = "none",
        post_norm_kc: Norm = "none",
        inhibition: float = 0.0,
        inhibition_steps: int = 10,
        kc_bias: float = -1.0,
        fold: bool = True,
    ):
        pn = receptors if pn is None else pn
        if kc is None:
            check_positive_int("receptors", receptors, MAX_UNITS)
            kc = min(receptors**2, MOST_KC)
        sizes = {"num_classes": num_classes, "receptors": receptors, "copies": copies, "pn": pn, "kc": kc}
        for name, value in sizes.items():
            check_positive_int(name, value, MAX_UNITS)
        before: dict[str, Norm] = {"norm_pn": norm_pn, "norm_kc": norm_kc}
        after: dict[str, Norm] = {"post_norm_pn": post_norm_pn, "post_norm_kc": post_norm_kc}
        for name, norm in {**before, **after}.items():
            check_choice(name, norm, get_args(Norm))
        check_circuit(receptors, copies, pn, expression, identity, claws, glomeruli, signed)
        check_numbers(dropout, noise, inhibition, inhibition_steps)
        super().__init__([Area(name, 1, 0.0, 1.0) for name in (ORN, PN, KC)], num_classes, receptors)
        self.receptors, self.copies, self.fold = receptors, copies, fold
        neurons = receptors * copies
        orn = ReceptorNeurons(copies, Expression(receptors, neurons) if expression else None, noise)
        mixed = 1 if identity else glomeruli
        glomerular = NeuronLayer(
            neurons,
            pn,
            None if signed else (0.0, 4 / neurons),
            signed=signed,
            fixed=None if mixed is None else mixed_glomeruli(pn, mixed).repeat(1, copies) / copies,
            norm=norm_pn,
            post_norm=post_norm_pn,
        )
        threshold = 1 / pn if prune and claws is None else 0.0
        kenyon = NeuronLayer(
            pn,
            kc,
            (threshold, 4 / pn),
            kc_bias,
            prune=threshold,
            fixed=None if claws is None else random_claws(kc, pn, claws),
            norm=norm_kc,
            post_norm=post_norm_kc,
            dropout=dropout,
            inhibition=Inhibition(inhibition, inhibition_steps) if inhibition else None,
        )
        self.areas = nn.ModuleDict({ORN: orn, PN: glomerular, KC: kenyon})
        self.decoder = nn.Linear(kc, num_classes)

    @property
    def orn(self) -> ReceptorNeurons:
        return cast(ReceptorNeurons, self.areas[ORN])

    @property
    def pn(self) -> NeuronLayer:
        return cast(NeuronLayer, self.areas[PN])

    @property
    def kc(self) -> NeuronLayer:
        return cast(NeuronLayer, self.areas[KC])

    def run_areas(
        self, images: Tensor, steps: Mapping[str, int], keep_all: bool
    ) -> dict[str, Sequence[Tensor]]:
        """images: odours (batch, receptor)."""
        if images.shape[1:] != (self.receptors,):
            raise CornetError(
                f"odours of shape {tuple(images.shape[1:])} do not fit a network with receptors={self.receptors}; set "
                "model.receptors to the receptors of the data."
            )
        rates = self.orn(images)
        folds = self.fold and self.orn.expression is None and not self.orn.noise
        glomeruli = self.pn(images, self.copies) if folds else self.pn(rates)
        return {ORN: [rates], PN: [glomeruli], KC: [self.kc(glomeruli)]}

    def wiring(self) -> Wiring:
        """The connections, without gradients."""
        with torch.no_grad():
            expressed = self.orn.expression
            return Wiring(
                receptors=self.receptors,
                glomeruli=self.pn.effective().detach(),
                claws=self.kc.effective().detach(),
                expression=None if expressed is None else expressed.effective(),
                threshold=self.kc.prune or None,
            )

    def depth(self) -> Depth:
        layers = 3 if self.orn.expression is None else 4
        return Depth(layers, layers)


def mixed_glomeruli(pn: int, count: int) -> Tensor:
    """Connections (pn, pn) of neurons that read `count` neighbouring receptors in a circle, with weight 1 / count."""
    place = torch.arange(pn)
    return ((place[None] - place[:, None]) % pn < count).float() / count


def random_claws(kc: int, pn: int, count: int) -> Tensor:
    """Connections (kc, pn) of weight 1 from `count` random projection neurons each."""
    chosen = torch.rand(kc, pn).argsort(dim=1)[:, :count]
    return torch.zeros(kc, pn).scatter_(1, chosen, 1.0)


def check_circuit(
    receptors: int,
    copies: int,
    pn: int,
    expression: bool,
    identity: bool,
    claws: int | None,
    glomeruli: int | None,
    signed: bool,
) -> None:
    """Raise CornetError for variants that exclude each other."""
    if identity and (copies != 1 or pn != receptors):
        raise CornetError(
            f"identity=true connects each projection neuron with its receptor neuron, but copies={copies} and pn={pn} "
            f"for receptors={receptors}; set copies=1 and pn={receptors}."
        )
    if glomeruli is not None:
        check_positive_int("glomeruli", glomeruli, receptors)
        if pn != receptors:
            raise CornetError(
                f"glomeruli={glomeruli} needs pn={receptors}, the number of receptors; pn is {pn}."
            )
    if claws is not None:
        check_positive_int("claws", claws, pn)
    untrained = [
        name for name, given in (("identity", identity), ("glomeruli", glomeruli is not None)) if given
    ]
    trained = [name for name, given in (("signed", signed), ("expression", expression)) if given]
    if len(untrained) > 1 or (untrained and trained):
        raise CornetError(f"{' and '.join(untrained + trained)} exclude each other; choose one.")


def check_numbers(dropout: float, noise: float, inhibition: float, steps: int) -> None:
    """Raise CornetError for values out of range."""
    if not 0 <= dropout < 1:
        raise CornetError(f"dropout={dropout!r} must be a share, from 0 to below 1.")
    for name, value in (("noise", noise), ("inhibition", inhibition)):
        if not 0 <= value < float("inf"):
            raise CornetError(f"{name}={value!r} must be 0 or more.")
    if steps != 0:
        check_positive_int("inhibition_steps", steps, 1000)

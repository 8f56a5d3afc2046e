"""Compare an exported graph with its network: every output, on batches of two sizes.

An output that differs from the network's in float32 is compared with the network in float64: PyTorch's group norm in
float32 errs by 1e-4 with few values per group, as in a CORnet-RT of width 0.1, where onnxruntime errs by 1e-6.
"""

import copy
from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from cornet.errors import CornetError
from cornet.export.graph import INPUT, output_names
from cornet.export.source import Source
from cornet.models.base import Network

__all__ = ["BATCHES", "TOLERANCE", "check_agreement", "expected_outputs"]

BATCHES = (1, 3)
"""Images per batch; the traced batch has another number."""
TOLERANCE = 1e-5
"""Largest difference, relative to the largest value of the output."""

Run = Callable[[Tensor], Mapping[str, Tensor]]


def check_agreement(source: Source, net: Network, run: Run, program: str) -> float:
    """Return the largest difference between `run` and `net`, relative to the largest value of each output.

    run: takes `images` (batch, channel, size, size) and returns {name: tensor}; it stands for the file as `program`
    runs it. The images have uniform pixels from a fixed seed, normalised. The network computes in float32, and in
    float64 where this differs by more than `TOLERANCE`.

    Raises CornetError for other outputs or shapes, and for a difference above `TOLERANCE`.
    """
    generator = torch.Generator().manual_seed(0)
    mean, std = (torch.tensor(values).view(-1, 1, 1) for values in (source.mean, source.std))
    worst, where = 0.0, ""
    for batch in BATCHES:
        pixels = torch.rand(batch, net.in_channels, source.size, source.size, generator=generator)
        images = (pixels - mean) / std
        expected, found = expected_outputs(net, images), run(images)
        if list(found) != list(expected):
            raise CornetError(
                f"{program} gives the outputs {', '.join(found)} for {source.text}, not {', '.join(expected)}; report "
                "this as a fault of the export."
            )
        for name, value in expected.items():
            if found[name].shape != value.shape:
                raise CornetError(
                    f"{program} gives {name} of shape {tuple(found[name].shape)} for {batch} {INPUT}, not "
                    f"{tuple(value.shape)}; report this as a fault of the export."
                )
        differences = {name: relative_difference(found[name], value) for name, value in expected.items()}
        if max(differences.values()) > TOLERANCE:
            exact = expected_outputs(copy.deepcopy(net).double(), images.double())
            differences = {
                name: value if value <= TOLERANCE else relative_difference(found[name], exact[name])
                for name, value in differences.items()
            }
        largest = max(differences, key=differences.__getitem__)
        if differences[largest] > worst:
            worst, where = differences[largest], largest
    if worst > TOLERANCE:
        raise CornetError(
            f"{source.text} differs by {worst:.1e} of the largest value of {where} under {program}, more than the "
            f"allowed {TOLERANCE:.0e}; nothing was written."
        )
    return worst


def expected_outputs(net: Network, images: Tensor) -> dict[str, Tensor]:
    """What the network itself gives, under the names of the exported outputs."""
    with torch.no_grad():
        first, states = net(images, return_states=True)
    head, *names = output_names(net)
    outputs = {head: first}
    for name in names:
        area, _, step = name.rpartition("_step")
        outputs[name] = states[area][int(step)]
    return outputs


def relative_difference(found: Tensor, expected: Tensor) -> float:
    """The largest difference over the largest absolute value; infinite for values that are not numbers."""
    if not torch.isfinite(expected).all():
        return 0.0 if torch.equal(found.double(), expected.double()) else float("inf")
    largest = float(expected.abs().max())
    difference = float((found.double() - expected.double()).abs().max())
    if difference != difference:
        return float("inf")
    return difference / largest if largest else (0.0 if difference == 0 else float("inf"))

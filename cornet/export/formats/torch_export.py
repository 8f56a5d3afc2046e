"""NAME.pt2: a graph of `torch.export`, which PyTorch runs without cornet, also from C++."""

from collections.abc import Sequence
from pathlib import Path

import torch

from cornet.export.agreement import TOLERANCE, check_agreement
from cornet.export.graph import quiet, trace, without_noise
from cornet.export.graph_notes import graph_facts, write_notes
from cornet.export.source import Source

__all__ = ["SEVERAL", "SUMMARY", "write"]

SUMMARY = "NAME.pt2, a graph for PyTorch without cornet"
SEVERAL = False

HOW = """
import torch

net = torch.export.load("{file}").module()
outputs = net(images)  # a dict: outputs["{first}"], outputs["{last}"], ...
"""


def write(sources: Sequence[Source], folder: Path, name: str) -> list[str]:
    """Write NAME.pt2, NAME.json and README.md, and compare the loaded file with the network.

    Raises CornetError if PyTorch cannot trace the network, and if the outputs differ by more than `TOLERANCE`.
    """
    (source,) = sources
    net = without_noise(source.net)
    file = folder / f"{name}.pt2"
    with quiet():
        torch.export.save(trace(source, net), file)
        loaded = torch.export.load(file).module()
    with torch.no_grad():
        difference = check_agreement(source, net, loaded, f"torch {torch.__version__}")
    facts = graph_facts(source, net, file.name, difference, f"torch {torch.__version__}")
    names = list(facts["outputs"])
    write_notes(folder, name, facts, HOW.format(file=file.name, first=names[0], last=names[-1]))
    return [
        f"{file.name} gives {len(names)} outputs; loaded again, they are within {difference:.1e} of the network's "
        f"(allowed: {TOLERANCE:.0e} of the largest value)."
    ]

"""NAME.onnx: a graph for onnxruntime and other programs that read ONNX."""

import importlib.util
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from cornet.errors import CornetError
from cornet.export.agreement import TOLERANCE, check_agreement
from cornet.export.graph import INPUT, first_line, output_names, quiet, trace, without_noise
from cornet.export.graph_notes import graph_facts, write_notes
from cornet.export.source import Source
from cornet.models.base import Network

__all__ = ["SEVERAL", "SUMMARY", "write"]

SUMMARY = "NAME.onnx, a graph for onnxruntime and other programs"
SEVERAL = False
ONE_FILE = 2**30
"""Bytes of weights that stay within NAME.onnx; more go into NAME.onnx.data, as a message of ONNX holds 2 GiB."""
INSTALL = "pip install 'cornet-ventral[onnx]'"

HOW = """
import onnxruntime

session = onnxruntime.InferenceSession("{file}")
{first}, area = session.run(["{first}", "{last}"], {{"{input}": images}})  # float32
"""


def write(sources: Sequence[Source], folder: Path, name: str) -> list[str]:
    """Write NAME.onnx, NAME.json and README.md, and compare the file under onnxruntime, if installed.

    Raises CornetError without the packages of the extra `onnx`, for a network that PyTorch cannot trace or ONNX cannot
    express, and if the outputs differ by more than `TOLERANCE`.
    """
    (source,) = sources
    for package in ("onnx", "onnxscript"):
        if importlib.util.find_spec(package) is None:
            raise CornetError(
                f"--to onnx needs the package {package}, which is not installed; run {INSTALL}."
            )
    net = without_noise(source.net)
    file = folder / f"{name}.onnx"
    names = output_names(net)
    program = convert(source, net, names)
    plain = graph_facts(source, net, file.name, None, "")
    program.model.metadata_props.update({"cornet": json.dumps(plain, default=str)})
    weights = sum(value.numel() * value.element_size() for value in net.state_dict().values())
    with quiet():
        program.save(file, external_data=weights > ONE_FILE)
    difference, runtime = None, ""
    if importlib.util.find_spec("onnxruntime") is not None:
        difference, runtime = compare(source, net, file)
    facts = plain | {"checked_under": runtime or None, "largest_relative_difference": difference}
    how = HOW.format(file=file.name, first=names[0], last=names[-1], input=INPUT)
    write_notes(folder, name, facts, how)
    if difference is None:
        return [
            f"{file.name} has {len(names)} outputs; it was not compared with the network, as onnxruntime is not "
            f"installed ({INSTALL})."
        ]
    return [
        f"{file.name} gives {len(names)} outputs; under {runtime}, they are within {difference:.1e} of the network's "
        f"(allowed: {TOLERANCE:.0e} of the largest value)."
    ]


def convert(source: Source, net: Network, names: list[str]) -> Any:
    """The ONNX program of a network. Raises CornetError if it has an operation that ONNX lacks."""
    exported = trace(source, net)
    try:
        with quiet():
            # optimize=False: the optimiser of onnxscript drops the addition of small constants, such as the 1e-30
            # below the tenth root of HCNN, whose outputs then differ by 1e-3. Runtimes optimise what they load.
            program = torch.onnx.export(
                exported, dynamo=True, input_names=[INPUT], output_names=names, optimize=False, verbose=False
            )
    except Exception as error:  # the exporter raises errors of many kinds
        raise CornetError(
            f"{source.text} cannot be exported to ONNX ({first_line(error)}); use --to torch-export."
        ) from None
    assert program is not None
    for value in (*program.model.graph.inputs, *program.model.graph.outputs):
        assert value.shape is not None
        value.shape[0] = "batch"  # in place of a symbol such as s77
    return program


def compare(source: Source, net: Network, file: Path) -> tuple[float, str]:
    """The largest relative difference under onnxruntime, and its name and version."""
    import onnxruntime

    runtime = f"onnxruntime {onnxruntime.__version__}"
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3  # errors: it warns of every constant that it does not fold
    session = onnxruntime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]

    def run(images: Tensor) -> dict[str, Tensor]:
        found = session.run(None, {INPUT: images.numpy()})
        return dict(zip(names, map(torch.from_numpy, found), strict=True))

    return check_agreement(source, net, run, runtime), runtime

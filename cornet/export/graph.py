"""A network as a graph with named outputs, which PyTorch and other programs run without cornet.

Input: `images` (batch, channel, size, size), normalised. Outputs: `logits` (batch, class), and one for each area and
each step that the image reaches, such as `V4_step0` (batch, channel, y, x), in the order of areas and steps. Each step
has an output of its own, so that a user of onnxruntime names those that are needed.
"""

import contextlib
import copy
import warnings
from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch.export import Dim, ExportedProgram

from cornet.errors import CornetError
from cornet.export.source import Source
from cornet.models.base import Network
from cornet.models.cornet.gabor import GaborArea

__all__ = ["INPUT", "LOGITS", "NamedOutputs", "first_line", "output_names", "quiet", "trace", "without_noise"]

INPUT = "images"
FEATURES, LOGITS = "features", "logits"
TRACED_BATCH = 2
"""Images of the batch that is traced: PyTorch treats a dimension of 1 as constant."""


class NamedOutputs(nn.Module):
    """A network whose `forward` returns {name: tensor}; see this module's docstring.

    A network without a decoder gives `features` (batch, feature) in place of `logits`.
    """

    def __init__(self, net: Network) -> None:
        super().__init__()
        self.net = net

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        net = self.net
        history = net.run_areas(images, net.steps, True)
        first, *names = output_names(net)
        outputs = {first: net.decode(history[next(reversed(net.steps))][-1])}
        for name in names:
            area, _, step = name.rpartition("_step")
            outputs[name] = history[area][int(step)]
        return outputs


def output_names(net: Network) -> list[str]:
    """The names of the outputs, in their order."""
    first = FEATURES if isinstance(net.decoder, nn.Identity) else LOGITS
    return [
        first,
        *(
            f"{area.name}_step{step}"
            for area in net.area_table.values()
            for step in range(area.first_driven_step, area.steps)
        ),
    ]


def without_noise(net: Network) -> Network:
    """The network, or a copy of it without neuronal noise, which no two programs would draw alike."""
    if not any(isinstance(part, GaborArea) and part.noise for part in net.modules()):
        return net
    net = copy.deepcopy(net)
    for part in net.modules():
        if isinstance(part, GaborArea):
            part.noise = False
    return net


def trace(source: Source, net: Network) -> ExportedProgram:
    """Trace the network of `source` for batches of any number of images. Raises CornetError if PyTorch cannot.

    net: that of `source`, `without_noise`.
    """
    module = NamedOutputs(net).eval()
    images = torch.zeros(TRACED_BATCH, net.in_channels, source.size, source.size)
    try:
        with quiet(), torch.no_grad():
            return torch.export.export(module, (images,), dynamic_shapes={INPUT: {0: Dim("batch")}})
    except CornetError:
        raise  # of the network, such as for images that are too small
    except Exception as error:  # PyTorch raises errors of many kinds
        raise CornetError(
            f"{source.text} cannot be exported, as PyTorch cannot trace it ({first_line(error)}); export another "
            "network, or use --to safetensors, which keeps weights alone."
        ) from None


def first_line(error: Exception) -> str:
    """The first line of an error, or its kind."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return (lines[0][:200] if lines else type(error).__name__).rstrip(".")


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Hide the warnings of exporters, which speak to the developers of PyTorch."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield

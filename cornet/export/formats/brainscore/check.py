"""Check a written plugin: its copied code and weights must give the network's own activations, bit for bit."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

import torch

from cornet.export.formats.brainscore.entries import network_entry
from cornet.export.source import Source

__all__ = ["check_plugin", "imported_network"]

NAME = "_cornet_written_plugin"


def check_plugin(folder: Path, sources: dict[str, Source]) -> None:
    """Compare every layer of each network {identifier: network} with the plugin's on random images.

    Raises RuntimeError if they differ, which means that this format is wrong for the network.
    """
    with imported_network(folder) as module:
        for identifier, source in sources.items():
            generator = torch.Generator().manual_seed(0)
            images = torch.randn((2, source.net.in_channels, source.size, source.size), generator=generator)
            wanted = own_layers(source, images)
            for layer, values in layers_of(module.load_network(identifier), images).items():
                if not torch.equal(values, wanted[layer]):
                    raise RuntimeError(f"the plugin's {layer} of {identifier} differs from the network's")


@contextmanager
def imported_network(folder: Path) -> Iterator[Any]:
    """The module `network` of a plugin, without its `__init__.py`, which needs the reference. Leaves no trace."""
    package = ModuleType(NAME)
    package.__path__ = [str(folder)]
    sys.modules[NAME] = package
    written, sys.dont_write_bytecode = sys.dont_write_bytecode, True
    try:
        yield import_module(f"{NAME}.network")
    finally:
        sys.dont_write_bytecode = written
        for name in [name for name in sys.modules if name.partition(".")[0] == NAME]:
            del sys.modules[name]


def layers_of(network: Any, images: torch.Tensor) -> dict[str, torch.Tensor]:
    """Record all layers of a plugin's network by forward hooks, as the reference does."""
    found: dict[str, torch.Tensor] = {}
    hooks = [
        network.get_submodule(layer).register_forward_hook(
            lambda _module, _input, output, layer=layer: found.update({layer: output})
        )
        for layer in [*network.sources, "logits"]
    ]
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(0)  # the V1 of Gabor filters has noise
        network(images)
    for hook in hooks:
        hook.remove()
    return found


def own_layers(source: Source, images: torch.Tensor) -> dict[str, torch.Tensor]:
    """The same of the network itself."""
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(0)
        logits, states = source.net(images, return_states=True)
        layers = network_entry(source)["layers"]
        found = {layer: states[area][step] for layer, (area, step) in layers.items()}
        found["readout"] = source.net.decoder_features(found["readout"])
    return {**found, "logits": logits}

"""Small plugins for Brain-Score, and a program that runs their code without cornet."""

import copy
import subprocess
import sys
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

from cornet.export.formats import find_format
from cornet.export.source import Source, open_sources
from cornet.export.write import write_export
from tests.helpers.training.recorded_runs import recorded

THREE = [
    "cornet_s?untrained&seed=1&width=0.125&num_classes=6&size=32",
    "cornet_rt?untrained&seed=2&width=0.125&num_classes=6&size=32&degrees=6.5",
    "cornet_z?untrained&seed=3&width=0.125&num_classes=6&size=48",
]

ALONE = """
import sys, types

plugin, given, answer = sys.argv[1:4]
# Only torch, numpy, scipy and Pillow are left of what the tests' environment has.
for name in ("cornet", "pandas", "simplejpeg", "rich", "hydra", "omegaconf", "pytorch_lightning", "sklearn", "xarray"):
    sys.modules[name] = None
package = types.ModuleType("plugin")  # without its __init__.py, which needs the reference
package.__path__ = [plugin]
sys.modules["plugin"] = package

import torch
from plugin.network import layer_for, load_network, read_json
from plugin.preprocessing import preprocess

torch.set_num_threads(1)
given, found = torch.load(given, weights_only=True), {}
for identifier, entry in read_json("networks.json").items():
    network = load_network(identifier)
    images = preprocess(given["paths"], entry["size"], entry["mean"], entry["std"])
    layers = {"images": torch.from_numpy(images)}
    for name in [*entry["layers"], "logits"]:
        network.get_submodule(name).register_forward_hook(
            lambda module, inputs, output, name=name: layers.update({name: output})
        )
    with torch.no_grad():
        network(torch.from_numpy(images))
    found[identifier] = layers
    intervals = read_json("time_map", f"{identifier}.json")
    found[f"{identifier} steps"] = {
        region: [layer_for(intervals[region], start) for start in given["starts"]] for region in intervals
    }
torch.save(found, answer)
"""
"""Records all layers of a plugin's networks for image files, and the layer of each region for starts of time bins."""


def write_plugin(folder: Path, texts: Sequence[str], name: str = "small") -> list[Source]:
    """Export networks into a folder, and return them."""
    sources = open_sources(texts)
    write_export(find_format("brainscore"), sources, folder, name)
    return sources


def run_alone(plugin: Path, given: Path, answer: Path, python: str = sys.executable) -> None:
    """Run ALONE in a process of its own."""
    command = [python, "-B", "-c", ALONE, str(plugin), str(given), str(answer)]
    done = subprocess.run(
        command, cwd=given.parent, capture_output=True, text=True, timeout=300, check=False, env={"PATH": ""}
    )
    assert done.returncode == 0, done.stderr


def a_config() -> dict[str, Any]:
    """A configuration as a run records it, of the caller's own."""
    return copy.deepcopy(_recorded_once())


@cache
def _recorded_once() -> dict[str, Any]:
    return recorded()

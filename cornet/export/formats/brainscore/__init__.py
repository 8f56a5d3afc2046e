"""A plugin for Brain-Score: a folder that brainscore-vision 2.4 loads offline, without cornet.

It has the networks' code, weights, and commitments to regions, time bins and degrees of visual angle; several networks
share one copy of the code. `docs/export.md` describes the files.
"""

import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from cornet.errors import CornetError
from cornet.export.formats.brainscore.check import check_plugin
from cornet.export.formats.brainscore.code import write_code
from cornet.export.formats.brainscore.entries import identifiers, network_entry, region_layers, time_map
from cornet.export.formats.brainscore.metadata import metadata
from cornet.export.source import Source
from cornet.models.registry import registered

__all__ = ["SEVERAL", "SUMMARY", "write"]

SUMMARY = "a plugin folder that brainscore-vision loads, with any number of networks"
SEVERAL = True

PLUGIN = Path(__file__).parent / "plugin"
"""Files that every plugin has."""


def write(sources: Sequence[Source], folder: Path, name: str) -> list[str]:
    """Write a plugin with these networks into an empty folder, and check that it gives their activations.

    name: of the identifiers, to which a hash of the weights is added. Raises CornetError for a name or folder that the
    reference cannot load, and for networks whose code is outside cornet.
    """
    named = dict(zip(identifiers(sources, name), sources, strict=True))
    if "." in folder.name:
        raise CornetError(
            f"{folder.name} has a dot, but Brain-Score imports the folder as a package; give --out without dots."
        )
    shutil.copytree(
        PLUGIN, folder, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__", "LICENSE")
    )
    write_code(folder / "cornet_code", registry_and({source.model for source in sources}))
    shutil.copy(PLUGIN / "LICENSE", folder / "cornet_code")
    for part in ("weights", "region_layer_map", "time_map"):
        (folder / part).mkdir()
    for identifier, source in named.items():
        torch.save(source.net.state_dict(), folder / "weights" / f"{identifier}.pth")
        write_json(folder / "region_layer_map" / f"{identifier}.json", region_layers(source))
        write_json(folder / "time_map" / f"{identifier}.json", time_map(source))
    write_json(folder / "networks.json", {key: network_entry(source) for key, source in named.items()})
    (folder / "metadata.yaml").write_text(metadata(named), encoding="utf-8")
    (folder / "__init__.py").write_text(registration(list(named)), encoding="utf-8")
    check_plugin(folder, named)
    return [f"{identifier}  {source.text}" for identifier, source in named.items()]


def registry_and(models: set[str]) -> list[str]:
    """The modules that build these models, and the registry that finds them."""
    return ["cornet.models.registry", *sorted({registered(model).make.__module__ for model in models})]


def registration(names: Sequence[str]) -> str:
    """The text of `__init__.py`. The reference searches it for `model_registry['ID']` on one line."""
    lines = [f'model_registry["{name}"] = lambda: commitment("{name}")' for name in names]
    return "\n".join(
        [
            '"""Networks trained with cornet, for Brain-Score."""',
            "",
            "from brainscore_vision import model_registry",
            "",
            "from .model import commitment",
            "",
            *lines,
            "",
        ]
    )


def write_json(path: Path, content: Any) -> None:
    path.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")

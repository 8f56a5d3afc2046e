"""A choice of layers as a file: which layer and step stands for each region, and the scores behind it.

{"cornet_layers": 1, "model": "torchvision:vgg16", "bundle": "my-bundle", "metric": "pls", "seeds": 5,
 "sites": ["features.0[0]", ...],
 "regions": {"V4": {"layer": "features.17", "step": 0, "score": 0.61, "error": 0.01, "best_in": 4}},
 "candidates": {"region": [...], "layer": [...], ...}}
"""

import json
import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cornet.brain.subjects.layer_choice import LayerChoice
from cornet.brain.subjects.subject import Site, Subject
from cornet.errors import CornetError
from cornet.files import atomic_write
from cornet.opening import read_bytes

__all__ = ["is_layer_file", "read_layers", "regions_in", "write_layers"]

FORMAT = "cornet_layers"


def is_layer_file(text: object) -> bool:
    """Whether a text names a file with layers, by its ending."""
    return isinstance(text, str | os.PathLike) and os.fspath(text).endswith(".json")


def write_layers(choice: LayerChoice, subject: Subject, metric: str, path: Path) -> None:
    """Write a choice of layers."""
    chosen = choice.table[choice.table["chosen"]]
    facts = chosen[["region", "layer", "step", "score", "error", "best_in"]].to_dict("records")
    content = {
        FORMAT: 1,
        "model": subject.name,
        "bundle": choice.bundle,
        "metric": metric,
        "seeds": choice.seeds,
        "sites": [str(site) for site in subject.sites()],
        "regions": {row.pop("region"): row for row in facts},
        "candidates": choice.table.drop(columns="chosen").to_dict("list"),
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    atomic_write(path, json.dumps(without_nan(content), indent=1) + "\n")


def read_layers(path: str | os.PathLike[str], subject: Subject) -> dict[str, Site]:
    """Read the site of each region for a subject with the same layers as the one that they were chosen for.

    Its weights may differ, so that the layers of a trained network hold for its untrained twin. Raises CornetError for
    a file that cannot be read, and for a subject with other layers.
    """
    model, sites, regions = _read(path)
    own = [str(site) for site in subject.sites()]
    if own != sites:
        missing = [str(site) for site in regions.values() if str(site) not in own]
        what = f"which has no {missing[0]}" if missing else "which has other layers"
        raise CornetError(
            f"the layers in {path} were chosen for {model}, not for {subject.name}, {what}; choose them for it with "
            f"cornet layers {subject.name} --on BUNDLE."
        )
    return regions


def regions_in(path: str | os.PathLike[str]) -> list[str]:
    """The regions of a file of layers. Raises CornetError for a file that cannot be read."""
    return list(_read(path)[2])


def _read(path: str | os.PathLike[str]) -> tuple[str, list[str], dict[str, Site]]:
    """The model, all its sites, and the site of each region."""
    try:
        content = json.loads(read_bytes(Path(path).expanduser()))
        model, sites = str(content["model"]), list(map(str, content["sites"]))
        regions = {
            str(name): Site(str(one["layer"]), int(one["step"])) for name, one in content["regions"].items()
        }
    except OSError as error:
        raise CornetError(f"the file of layers {path} cannot be read ({error.strerror or error}).") from None
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise CornetError(
            f"{path} is not a file of layers; write one with cornet layers MODEL --on BUNDLE."
        ) from None
    return model, sites, regions


def without_nan(value: Any) -> Any:
    """The same content with null for numbers that are not finite, which JSON does not have."""
    if isinstance(value, Mapping):
        return {key: without_nan(one) for key, one in value.items()}
    if isinstance(value, list):
        return [without_nan(one) for one in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value

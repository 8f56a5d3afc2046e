"""The metadata.yaml of a plugin: schema 2.0 of brainscore-core 2.5.

Facts of the network are counted here. What the run recorded about its training is given as such; a network without a
run has none. The licence of the weights is left out: only their owner can name it.
"""

from typing import Any

import yaml

import cornet
from cornet.errors import CornetError
from cornet.export.source import Source
from cornet.models.registry import registered
from cornet.runs.config import flat

__all__ = ["metadata"]

NETWORK = ("/model/architecture", "/model/parameter_count", "/model/recurrent", "/model/input_resolution")
LONGEST = 1000
"""Characters of a text that comes from a run's configuration; the schema allows 10,000."""


def metadata(sources: dict[str, Source]) -> str:
    """The text of metadata.yaml for {identifier: network}."""
    models = {identifier: entry(source) for identifier, source in sources.items()}
    document = {"schema_version": "2.0", "domain": "vision", "models": models}
    return yaml.safe_dump(document, sort_keys=False, allow_unicode=False, width=100)


def entry(source: Source) -> dict[str, Any]:
    """The entry of one network."""
    known = registered(source.model)
    recurrent = max(source.net.steps.values()) > 1
    areas = ", ".join(
        f"{name} ({steps} step{'s' if steps > 1 else ''})" for name, steps in source.net.steps.items()
    )
    about = [known.paper] if known.paper else []
    family = "recurrent_convolutional_neural_network" if recurrent else "convolutional_neural_network"
    normalised = f"mean {numbers(source.mean)}, std {numbers(source.std)}"
    found: dict[str, Any] = {
        "sources": {
            "export": {
                "kind": "other",
                "citation": f"cornet {cornet.__version__}, from the network and the configuration of its run.",
            }
        },
        "assertions": [{"path": path, "status": "verified", "sources": ["export"]} for path in NETWORK],
        "model": {
            "display_name": plain(source.identifier)[:200],
            "version": f"cornet {cornet.__version__}",
            "architecture": {
                "family": family,
                "description": plain(f"{source.model}: {'; '.join([*about, f'areas {areas}'])}"),
            },
            "parameter_count": sum(weight.numel() for weight in source.net.parameters()),
            "parameter_count_exact": True,
            "recurrent": recurrent,
            "input_resolution": {
                "channels": source.net.in_channels,
                "height": source.size,
                "width": source.size,
            },
            "visual_degrees": source.degrees,
            "visual_degrees_description": "degrees of visual angle that a side of the input spans",
        },
        "io": {
            "modality": "image",
            "interface": f"RGB image in, {source.net.num_classes} class logits out; areas are recorded by step",
            "input_format": f"RGB, the whole image resized to {source.size} x {source.size} pixels, {normalised}",
            "output_format": "activations of each area at each step, features of the decoder, logits",
        },
        "provenance": {"checkpoint": f"SHA-256 of the weights {source.weights_hash}"},
    }
    recorded = of_run(source)
    found["assertions"] += [
        {"path": f"/{part}", "status": "probable", "sources": ["export"]} for part in recorded
    ]
    return found | recorded


def of_run(source: Source) -> dict[str, Any]:
    """What the run's configuration, which is untrusted, says about the training; {} without a run."""
    if source.run is None or ("untrained" in source.text.partition("?")[2].split("&")):
        return {}
    try:
        config = source.run.config
    except CornetError:  # a checkpoint alone
        return {}
    recipe = config.get("recipe") if isinstance(config.get("recipe"), dict) else {}
    data = config.get("data") if isinstance(config.get("data"), dict) else {}
    task = config.get("task") if isinstance(config.get("task"), dict) else {}
    assert isinstance(recipe, dict)
    assert isinstance(data, dict)
    assert isinstance(task, dict)
    images = class_name(data)
    chosen = {"size", "train_images", "val_images", "variation", "name", "classes", "view"}
    settings = ", ".join(f"{key} {value}" for key, value in flat(data) if key in chosen)
    simulated = " (rendered, not photographs)" if images == "RenderedObjects" else ""
    steps = ", ".join(f"{key} {value}" for key, value in flat(recipe) if key != "_target_")
    return {
        "training": {
            "process": plain(f"cornet train, seed {config.get('seed')}: {steps}"),
            "objective": plain(class_name(task) or "Classification"),
            "learning_rate": plain(recipe.get("learning_rate")),
            "batch_size": plain(recipe.get("batch_size")),
            "preprocessing": plain(f"images of {source.size} pixels, {settings}"),
        },
        "data": {
            "summary": plain(f"{images}{simulated}: {settings}"),
            "training_datasets": [
                {"identifier": "imagenet-1k", "name": "ImageNet-1k (ILSVRC-2012)", "role": "training"}
                if images.startswith("ImageNet") and "tiny" not in images.lower()
                else {"identifier": "other", "name": plain(f"{images}{simulated}"), "role": "training"}
            ],
        },
    }


def class_name(part: dict[str, Any]) -> str:
    """The class that a part of a configuration names, without its module."""
    return str(part.get("_target_", "")).rpartition(".")[2]


def numbers(values: tuple[float, ...]) -> str:
    return " ".join(f"{value:.4g}" for value in values)


def plain(value: Any) -> str:
    """A text without control characters, of limited length; never empty."""
    text = "".join(character if character.isprintable() else " " for character in str(value))
    return text[:LONGEST].strip() or "unknown"

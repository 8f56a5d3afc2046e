"""Load the network of a run's folder or checkpoint file, with the size, mean and std of its images.

A checkpoint of train.py names its network, and the run's config.yaml gives its images. Published files of 2018-2019
are identified by their weights; their images are ImageNet's at 224 pixels.
"""

import inspect
import logging
import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

import torch
from torch import nn

from cornet.errors import CornetError
from cornet.models import Network, create_model, load_published
from cornet.models.cornet.published import infer_arguments, rename_own_layout
from cornet.models.image_settings import ImageSettings
from cornet.models.loading import load_weights
from cornet.models.registry import NO_ARGUMENTS, name_of_class
from cornet.models.untrusted import (
    Load,
    build_checked,
    check_plain_arguments,
    check_times,
    seeded,
    without_decoder,
)
from cornet.models.weight_files import extract_weights, read_weight_file
from cornet.names import is_old_or_rerun
from cornet.old_names import with_current_facts
from cornet.runs.config import is_provided
from cornet.sizes import MAX_PIXELS
from cornet.stimuli.normalisation import IMAGENET_MEAN, IMAGENET_STD

__all__ = ["KINDS", "Prepared", "checkpoint_path", "find_run", "network_of_file", "network_of_run"]

log = logging.getLogger("cornet")

KINDS = ("best", "last", "best_brain")
"""Checkpoints of a run: best by the monitored metric, last, and best by brain score."""
MODELS = {"feedforward": "cornet_z", "bottleneck": "cornet_s"}
"""Names of the networks whose weights tell them; those of cornet_r and cornet_rt are alike."""


@dataclass(frozen=True)
class Prepared:
    """A network and its images.

    size: pixels per side. mean, std: per channel, of images scaled to 0..1. degrees: of visual angle per side; None:
    not recorded.
    """

    net: nn.Module
    size: int
    mean: tuple[float, ...]
    std: tuple[float, ...]
    degrees: float | None = None


def find_run(folder: Path) -> Path | None:
    """Find the one run's folder at or below a folder, skipping `is_old_or_rerun` folders. Return None if there is none.

    Raises CornetError if there are several.
    """
    if (folder / "checkpoints").is_dir():
        return folder
    runs = [
        path.parent
        for depth in ("*", "*/*", "*/*/*")
        for path in sorted(folder.glob(f"{depth}/checkpoints"))
        if path.is_dir() and not is_old_or_rerun(path.parent)
    ]
    if len(runs) > 1:
        shown = ", ".join(str(path) for path in runs[:4]) + (" ..." if len(runs) > 4 else "")
        raise CornetError(f"{folder} contains {len(runs)} runs; name one of {shown}.")
    return runs[0] if runs else None


def network_of_run(
    folder: Path,
    which: str | None = None,
    untrained: bool = False,
    seed: int = 0,
    size: int | None = None,
    trust: bool = False,
) -> Prepared:
    """Load the network of a run's folder.

    which: one of KINDS; None: the first that exists. untrained: the same network with new weights drawn with `seed`.
    size, trust: as for `network_of_file`. Raises CornetError if the checkpoint is missing or cannot be read.
    """
    return network_of_file(checkpoint_path(folder, which), untrained, seed, size, trust=trust)


def checkpoint_path(folder: Path, which: str | None = None) -> Path:
    """The checkpoint of a run's folder: one of KINDS; None: the first that exists. Raises CornetError without one."""
    kinds = KINDS if which is None else (which,)
    for kind in kinds:
        path = folder / "checkpoints" / f"{kind}.ckpt"
        if path.is_file():
            return path
    raise CornetError(
        f"{folder} has no checkpoint {' or '.join(kinds)} yet; let the run finish an epoch, or name another folder."
    )


def network_of_file(
    path: Path,
    untrained: bool = False,
    seed: int = 0,
    size: int | None = None,
    model: str | None = None,
    trust: bool = False,
    ema: bool = False,
) -> Prepared:
    """Load the network of a checkpoint file of train.py or in the published layout.

    model: cornet_r or cornet_rt, whose files have the same layout; None: by the file's name. size: pixels per side;
    None: from the run's config.yaml, or 224 for the published layout. trust: import and build a custom network that
    the file names. ema: take averaged weights. Raises CornetError if the file cannot be read safely, or its network or
    images are unknown.
    """
    content = read_weight_file(path)
    facts = content.get("cornet")
    if isinstance(facts, Mapping) and "model.name" in facts:
        facts = with_current_facts(facts)
        arguments = {
            key.removeprefix("model."): value for key, value in facts.items() if key.startswith("model.")
        }
        check_plain_arguments(path, arguments)
        images_only = facts.get("data.shape") is None  # else inputs that are not images, which have no size
        own_size, mean, std = _images_of(path, size) if images_only else (1, (), ())
        whole = facts.get("net.decoder", True) is not False
        if "_target_" in arguments:
            own = load_custom(path, content, arguments, untrained, seed, trust, whole)
            if isinstance(own, Network):
                own.image_settings = ImageSettings(size or own_size, mean, std)
            return Prepared(own, size or own_size, mean, std)
        load: Load = partial(load_weights, arguments["name"])
        make = partial(create_model, **arguments)
        make = make if whole else partial(without_decoder, make)
    else:
        load, make = load_published, partial(_network_by_weights, path, content, model, ema)
        own_size, mean, std = 224, IMAGENET_MEAN, IMAGENET_STD
    load = partial(load, ema=ema, label=str(path))
    net = build_checked(path, content, seed, make, load)
    if not untrained:
        load(net, content)
    net.image_settings = ImageSettings(size or own_size, mean, std)
    return Prepared(net, size or own_size, mean, std)


def load_custom(
    path: Path,
    content: Mapping[str, Any],
    arguments: Mapping[str, Any],
    untrained: bool,
    seed: int,
    trust: bool,
    whole: bool = True,
) -> nn.Module:
    """Load a custom network, defined by user code. whole: with its decoder. Raises CornetError unless `trust`.

    A class that is registered gets the `made_with` that `create_model` would set, so that it can be exported.
    """
    if not trust:
        raise CornetError(
            f"{path} was trained with the custom network {arguments['_target_']}, whose code would be imported; give "
            "--trust (in Python: trust=True) if you trust the author of this file."
        )
    from cornet.models.own_network import load_own, make_network

    with seeded(seed):
        net = make_network(arguments, 1000)
    if isinstance(net, Network) and net.made_with is None and (name := name_of_class(type(net))):
        given = {key: value for key, value in arguments.items() if key not in ("_target_", *NO_ARGUMENTS)}
        net.made_with = {**given, "name": name}
    if isinstance(net, Network) and not whole:
        net.reset_classifier(0)
    if not untrained:
        load_own(net, content, str(path))
    return net


def _network_by_weights(
    path: Path, content: Mapping[str, Any], model: str | None, ema: bool = False
) -> Network:
    name = None
    weights = extract_weights(content, str(path), starts=("areas.V1.", "V1."), ema=ema).tensors
    own = rename_own_layout(weights)
    arguments = infer_arguments(weights if own is None else own)
    block = arguments.get("block")
    if block is None:
        raise CornetError(
            f"{path} does not contain weights of a cornet network; name the network, as in "
            f"torchvision:resnet18?weights={path}."
        )
    if own is not None:
        if block != "feedforward" and "times" not in arguments:
            raise CornetError(
                f"{path} does not say how many steps its network runs; name the network with its arguments, as in "
                f"{'cornet_s' if block == 'bottleneck' else 'cornet_rt'}?weights={path}&times=5."
            )
        shown = ", ".join(
            f"{key}={value}" for key, value in arguments.items() if key not in ("block", "norm")
        )
        level = logging.DEBUG if torch.get_default_device().type == "meta" else logging.WARNING  # once
        log.log(
            level,
            "%s: loaded as a network with block %s, %s and images of 224 pixels; a state dict does not contain other "
            "arguments: if the network has any, name them, as in cornet_s?weights=%s&gate=soft&size=64",
            *(path, block, shown, path),
        )
    if block == "recurrent":
        name = model or next(
            (n for n in ("cornet_rt", "cornet_r") if path.name.startswith((n + "-", n + "."))), None
        )
        if name not in ("cornet_r", "cornet_rt"):
            raise CornetError(
                f"{path} contains weights of cornet_r or cornet_rt, which have the same layout; say which, as in "
                f"{path}?model=cornet_rt."
            )
        if model is None and arguments.get("norm") == "group":
            arguments.pop("times", None)
        if isinstance(arguments.get("times"), Mapping):
            check_times(path, arguments["times"].values())
            arguments["times"] = max(arguments["times"].values())
    else:
        check_times(path, arguments.get("times", {}).values())
    return create_model(str(MODELS.get(block, name)), **arguments)


def _images_of(path: Path, size: int | None) -> tuple[int, tuple[float, ...], tuple[float, ...]]:
    """Read size, mean and std of a run's images from the config.yaml in its folder. Raises CornetError if unknown."""
    from cornet.runs.config import read_config

    config = path.parent.parent / "config.yaml"
    try:
        data = read_config(config).get("data")
    except FileNotFoundError:
        data = None
    except CornetError as error:
        raise CornetError(f"{str(error).rstrip('.')}, or give size.") from None
    if isinstance(data, Mapping):
        images = _image_settings(data)
        check_images(images, config)
        if images["size"] is not None:
            return images["size"], tuple(images["mean"]), tuple(images["std"])
    if size is not None:
        return size, IMAGENET_MEAN, IMAGENET_STD
    raise CornetError(
        f"{path} and {config} do not give the size of the images; name the run's folder, or "
        f"give the size, as in {path}?size=64 (ImageNet's mean and standard deviation are then assumed)."
    )


def check_images(images: Mapping[str, Any], config: Path) -> None:
    """Raise CornetError for an impossible size, mean or std of images."""
    size = images["size"]
    if size is not None and not (type(size) is int and 1 <= size <= MAX_PIXELS):
        raise CornetError(
            f"{config} has data.size={size!r}, which must be 1 to {MAX_PIXELS:,} pixels; restore it."
        )
    for word, low in (("mean", -math.inf), ("std", 0.0)):
        value = images[word]
        listed = isinstance(value, list | tuple) and len(value) in (1, 3)
        if not listed or not all(type(x) in (int, float) and low < x < math.inf for x in value):
            raise CornetError(
                f"{config} has data.{word}={value!r}, which must be one number per channel; restore it."
            )


def _image_settings(data: Mapping[str, Any]) -> dict[str, Any]:
    """Return size, mean and std from a configuration's data, or the defaults of its image source."""
    target = str(data.get("_target_", ""))
    images: dict[str, Any] = {"size": None, "mean": IMAGENET_MEAN, "std": IMAGENET_STD}
    if is_provided("data", target):
        module_name, _, class_name = target.rpartition(".")
        module = import_module(module_name)
        source = getattr(module, class_name)
        parameters = inspect.signature(source).parameters
        for key in images:
            value = getattr(source, key, None)
            if value is None and key in parameters and parameters[key].default is not inspect.Parameter.empty:
                value = parameters[key].default
            images[key] = images[key] if value is None else value
        tables = getattr(module, "STATISTICS", {})
        name = data.get("name", parameters["name"].default if "name" in parameters else None)
        if isinstance(name, str) and name in tables:
            images["mean"], images["std"] = tables[name]
    for key in images:
        if data.get(key) is not None:
            images[key] = data[key]
    return images

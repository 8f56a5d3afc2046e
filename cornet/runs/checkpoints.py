"""From a run's folder or checkpoint file to the network and the size, mean and std of its images.

A checkpoint of train.py names its network, and config.yaml its images. Files of 2018-2019 are told by their weights;
their images are ImageNet's at 224 pixels.
"""

import inspect
import logging
import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import torch
from torch import nn

from cornet.errors import CornetError
from cornet.models import CORnet, create_model, load_published
from cornet.models.cornet.published import (
    check_published,
    extract_weights,
    infer_arguments,
    rename_own_layout,
)
from cornet.models.safe_load import read_checkpoint
from cornet.names import set_aside
from cornet.old_names import with_current_facts
from cornet.runs.config import is_provided
from cornet.sizes import MOST_PIXELS, MOST_STEPS
from cornet.stimuli.normalisation import IMAGENET_MEAN, IMAGENET_STD

__all__ = ["KINDS", "Prepared", "find_run", "network_of_file", "network_of_run", "seeded"]

log = logging.getLogger("cornet")

KINDS = ("best", "last", "best_brain")
"""Checkpoints that a run keeps: the best by accuracy, the last, the most brain-like."""
UNROLLS = {"feedforward": "sequential", "bottleneck": "sequential"}


@dataclass(frozen=True)
class Prepared:
    """A network and the images that it takes: pixels a side, mean and std per channel of images scaled to 0..1."""

    net: nn.Module
    size: int
    mean: tuple[float, ...]
    std: tuple[float, ...]


class seeded:
    """A context in which torch draws from a seed; after it, the random state is what it was."""

    def __init__(self, seed: int):
        self.seed = seed

    def __enter__(self) -> None:
        self._state = torch.random.get_rng_state()
        torch.default_generator.manual_seed(self.seed)

    def __exit__(self, *_: object) -> None:
        torch.random.set_rng_state(self._state)


def find_run(folder: Path) -> Path | None:
    """The run's folder at or below a folder; None without one. CornetError for several. Skips `set_aside` runs."""
    if (folder / "checkpoints").is_dir():
        return folder
    found = [
        path.parent
        for depth in ("*", "*/*", "*/*/*")
        for path in sorted(folder.glob(f"{depth}/checkpoints"))
        if path.is_dir() and not set_aside(path.parent)
    ]
    if len(found) > 1:
        shown = ", ".join(str(path) for path in found[:4]) + (" ..." if len(found) > 4 else "")
        raise CornetError(f"{folder} holds {len(found)} runs; name one of {shown}.")
    return found[0] if found else None


def network_of_run(
    folder: Path,
    which: str | None = None,
    untrained: bool = False,
    seed: int = 0,
    size: int | None = None,
    trust: bool = False,
) -> Prepared:
    """The network of a run's folder.

    which: "best" or "last"; None: best, or else last. untrained: the same network with fresh weights from `seed`.
    trust: as of `network_of_file`. Raises CornetError where that checkpoint is not there or cannot be read.
    """
    kinds = KINDS if which is None else (which,)
    for kind in kinds:
        path = folder / "checkpoints" / f"{kind}.ckpt"
        if path.is_file():
            return network_of_file(path, untrained, seed, size, trust=trust)
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
) -> Prepared:
    """The network of a checkpoint file: one of train.py's, or one in the published layout.

    model: cornet_r or cornet_rt, whose files are alike; None: by the file's name. size: pixels a side; None: as the
    run's config.yaml says, 224 for the published layout. trust: import and build a network of the user's own that the
    file names. Raises CornetError for a file that cannot be read safely or whose network or images are not known.
    """
    content = read_checkpoint(path)
    facts = content.get("cornet")
    if isinstance(facts, Mapping) and "model.name" in facts:
        facts = with_current_facts(facts)
        arguments = {
            key.removeprefix("model."): value for key, value in facts.items() if key.startswith("model.")
        }
        refuse_code(path, arguments)
        own_size, mean, std = _images_of(path, size)
        if "_target_" in arguments:
            return Prepared(
                own_network(path, content, arguments, untrained, seed, trust), size or own_size, mean, std
            )
        net = fitting(path, content, seed, lambda: create_model(**arguments))
    else:
        net = fitting(path, content, seed, lambda: _network_by_weights(path, content, model))
        own_size, mean, std = 224, IMAGENET_MEAN, IMAGENET_STD
    if not untrained:
        try:
            load_published(net, content)
        except CornetError as error:
            raise CornetError(str(error).replace("the state dict", str(path))) from None
    return Prepared(net, size or own_size, mean, std)


def own_network(
    path: Path,
    content: Mapping[str, Any],
    arguments: Mapping[str, Any],
    untrained: bool,
    seed: int,
    trust: bool,
) -> nn.Module:
    """A network of the user's own. Raises CornetError where it is not trusted."""
    if not trust:
        raise CornetError(
            f"{path} was trained with a network of its own, {arguments['_target_']}, which would be imported; if you "
            "trust whoever made this file, give --trust."
        )
    from cornet.models.own_network import load_own, make_network

    with seeded(seed):
        net = make_network(arguments, 1000)
    if not untrained:
        load_own(net, content, str(path))
    return net


def refuse_code(path: Path, arguments: Mapping[str, Any]) -> None:
    """Raise CornetError for arguments of a network that train.py does not write into a checkpoint."""
    for word, value in arguments.items():
        if not is_plain(value) or word in ("pretrained", "weights_url", "accept_hash"):
            raise CornetError(
                f"{path} names a network with {word}={value!r}, which train.py does not; give another file."
            )
    times = arguments.get("times")
    check_times(path, times.values() if isinstance(times, Mapping) else [times])


def is_plain(value: Any, depth: int = 2) -> bool:
    """Whether a value is text, a number, or a list or mapping of such, at most so deep."""
    if isinstance(value, Mapping | list | tuple):
        inner = value.values() if isinstance(value, Mapping) else value
        return depth > 0 and all(is_plain(one, depth - 1) for one in inner)
    return isinstance(value, str | int | float | bool | None)


def check_times(path: Path, times: Iterable[Any]) -> None:
    """Raise CornetError for steps that no network is trained with, and that would take for ever to build."""
    if most := [one for one in times if isinstance(one, int | float) and one > MOST_STEPS]:
        raise CornetError(f"{path} names a network of {most[0]} steps, and at most {MOST_STEPS} are read.")


def fitting(path: Path, content: Mapping[str, Any], seed: int, make: Callable[[], CORnet]) -> CORnet:
    """The network, made when it is known to be of the file's size: what a file claims to be takes no memory before."""
    try:
        with torch.device("meta"):
            check_published(make(), content)
        with seeded(seed):
            return make()
    except CornetError as error:
        raise CornetError(str(error).replace("the state dict", str(path))) from None
    except (TypeError, ValueError, OverflowError, RuntimeError) as error:
        raise CornetError(
            f"{path} names a network that cannot be built ({error}); give another file."
        ) from None


def _network_by_weights(path: Path, content: Mapping[str, Any], model: str | None) -> CORnet:
    weights = extract_weights(content, str(path))
    own = rename_own_layout(weights)
    found = infer_arguments(weights if own is None else own)
    block = found.get("block")
    if block is None:
        raise CornetError(
            f"{path} does not hold the weights of a network of cornet; name the network that it is of, as in "
            f"torchvision:resnet18?weights={path}."
        )
    if own is not None:
        if block != "feedforward" and "times" not in found:
            raise CornetError(
                f"{path} does not say how many steps its network runs; name the network with its arguments, as in "
                f"{'cornet_s' if block == 'bottleneck' else 'cornet_rt'}?weights={path}&times=5."
            )
        shown = ", ".join(f"{key}={value}" for key, value in found.items() if key not in ("block", "norm"))
        log.warning(
            "%s: read as a network of the block %s with %s, images of 224 pixels; a state dict does not hold other "
            "arguments: if it has any, name them, as in cornet_s?weights=%s&gate=soft&size=64",
            *(path, block, shown, path),
        )
    if block == "recurrent":
        name = model or next(
            (n for n in ("cornet_rt", "cornet_r") if path.name.startswith((n + "-", n + "."))), None
        )
        if name not in ("cornet_r", "cornet_rt"):
            raise CornetError(
                f"{path} holds the weights of cornet_r or cornet_rt, which are alike; say which, as in "
                f"{path}?model=cornet_rt."
            )
        if model is None and found.get("norm") == "group":
            found.pop("times", None)
        found["unroll"] = "cascade" if name == "cornet_r" else "synchronous"
        if isinstance(found.get("times"), Mapping):
            check_times(path, found["times"].values())
            found["times"] = max(found["times"].values())
    else:
        found["unroll"] = UNROLLS[block]
        check_times(path, found.get("times", {}).values())
    return CORnet(**found)


def _images_of(path: Path, size: int | None) -> tuple[int, tuple[float, ...], tuple[float, ...]]:
    """Size, mean and std of a run's images, from the config.yaml beside its folder of checkpoints."""
    from cornet.runs.config import read_config

    config = path.parent.parent / "config.yaml"
    try:
        data = read_config(config).get("data")
    except FileNotFoundError:
        data = None
    except CornetError as error:
        raise CornetError(f"{str(error).rstrip('.')}, or give size.") from None
    if isinstance(data, Mapping):
        known = _defaults(data)
        check_images(known, config)
        if known["size"] is not None:
            return known["size"], tuple(known["mean"]), tuple(known["std"])
    if size is not None:
        return size, IMAGENET_MEAN, IMAGENET_STD
    raise CornetError(
        f"{path} does not say the size of its images, and there is no {config} that does; name the run's folder, or "
        f"give the size, as in {path}?size=64 (ImageNet's mean and standard deviation are then assumed)."
    )


def check_images(known: Mapping[str, Any], config: Path) -> None:
    """Raise CornetError for a size, mean or std that no images have."""
    size = known["size"]
    if size is not None and not (type(size) is int and 1 <= size <= MOST_PIXELS):
        raise CornetError(
            f"{config} has data.size={size!r}, which must be 1 to {MOST_PIXELS:,} pixels; restore it."
        )
    for word, low in (("mean", -math.inf), ("std", 0.0)):
        value = known[word]
        listed = isinstance(value, list | tuple) and len(value) in (1, 3)
        if not listed or not all(type(one) in (int, float) and low < one < math.inf for one in value):
            raise CornetError(
                f"{config} has data.{word}={value!r}, which must be a number for each channel; restore it."
            )


def _defaults(data: Mapping[str, Any]) -> dict[str, Any]:
    """size, mean, std of a configuration's data: as given, or as the source of images has them by default."""
    target = str(data.get("_target_", ""))
    found: dict[str, Any] = {"size": None, "mean": IMAGENET_MEAN, "std": IMAGENET_STD}
    if is_provided("data", target):
        module_name, _, class_name = target.rpartition(".")
        module = import_module(module_name)
        source = getattr(module, class_name)
        parameters = inspect.signature(source).parameters
        for key in found:
            given = getattr(source, key, None)
            if given is None and key in parameters and parameters[key].default is not inspect.Parameter.empty:
                given = parameters[key].default
            found[key] = found[key] if given is None else given
        tables = getattr(module, "STATISTICS", {})
        name = data.get("name", parameters["name"].default if "name" in parameters else None)
        if isinstance(name, str) and name in tables:
            found["mean"], found["std"] = tables[name]
    for key in found:
        if data.get(key) is not None:
            found[key] = data[key]
    return found

"""The 2018-2019 checkpoint layout: its names, to and from ours, and loading it safely."""

import pickle
from collections.abc import Mapping
from os import PathLike
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from cornet.errors import CornetError
from cornet.models.network import CORnet
from cornet.models.norm import SteppedNorm

__all__ = ["load_published", "read_weights", "to_published"]

PREFIX = "module."
OPTIONAL = ".num_batches_tracked"


def published_names(net: CORnet) -> dict[str, str]:
    """Our state-dict key -> the published one (without "module."), in the published order."""
    names: dict[str, str] = {}
    for area_name, area in net.areas.items():
        norms = {name: module for name, module in area.named_children() if isinstance(module, SteppedNorm)}
        later: dict[str, str] = {}
        for key in area.state_dict():
            part, _, rest = key.partition(".")
            if part not in norms:
                published = f"{area_name}.{key}"
            else:
                _, step, entry = rest.split(".")
                suffix = f"_{step}" if norms[part].numbered else ""
                published = f"{area_name}.{part}{suffix}.{entry}"
            late = part in norms and norms[part].numbered
            (later if late else names)[f"areas.{area_name}.{key}"] = published
        # The published definition adds its unshared norms last, step by step.
        names.update(sorted(later.items(), key=lambda item: step_of(item[0])))
    for entry in net.decoder.state_dict():
        names[f"decoder.{entry}"] = f"decoder.linear.{entry}"
    return names


def step_of(key: str) -> int:
    """The step in a key such as areas.V2.norm1.norms.3.weight."""
    return int(key.split(".norms.")[1].split(".")[0])


def to_published(net: CORnet) -> dict[str, Tensor]:
    """The weights in the published layout (no "module." prefix), in the published order."""
    state = net.state_dict()
    return {published: state[ours] for ours, published in published_names(net).items()}


def load_published(net: CORnet, source: str | PathLike[str] | Mapping[str, Any]) -> CORnet:
    """Load weights in the published layout into `net`, in place, and return it.

    source: a file, or what was read from one: a state dict or a dict that holds one under "state_dict"
        (training saved the optimiser beside it; that is ignored). Keys may begin with "module.";
        num_batches_tracked may be missing.

    Raises CornetError for a file that cannot be read safely, another network's weights, or another number
    of classes. Nothing is loaded then.
    """
    label = "the state dict" if isinstance(source, Mapping) else str(source)
    content = source if isinstance(source, Mapping) else read_weights(source)
    state = content.get("state_dict", content)
    if not isinstance(state, Mapping):
        raise CornetError(f"{label} has a state_dict that is no dict of tensors but {type(state).__name__}.")
    given = {str(key).removeprefix(PREFIX): value for key, value in state.items()}
    names = published_names(net)
    own = net.state_dict()
    missing = [p for p in names.values() if p not in given and not p.endswith(OPTIONAL)]
    extra = sorted(set(given) - set(names.values()))
    if missing or extra:
        raise CornetError(
            f"{label} holds the weights of another network: {listed('it lacks', missing)}"
            f"{'; ' if missing and extra else ''}{listed('it has also', extra)}; "
            "build the network with the name and the steps that the file was trained with."
        )
    for ours, published in names.items():
        if published not in given:
            continue
        value = given[published]
        if not isinstance(value, Tensor):
            raise CornetError(f"{label} has under {published} no tensor but {type(value).__name__}.")
        if value.shape != own[ours].shape:
            raise CornetError(mismatch(label, published, value, own[ours]))
    with torch.no_grad():
        for ours, published in names.items():
            if published in given:
                own[ours].copy_(given[published])
    return net


def mismatch(label: str, published: str, value: Tensor, own: Tensor) -> str:
    """Why a tensor's shape does not fit."""
    if published.startswith("decoder."):
        return (
            f"{label} is for {value.shape[0]} classes, the network for {own.shape[0]}; "
            f"build it with num_classes={value.shape[0]}."
        )
    return (
        f"{label} has {published} of shape {tuple(value.shape)}, the network of {tuple(own.shape)}; "
        "build the network with the width and the bottleneck that the file was trained with."
    )


def listed(lead: str, names: list[str]) -> str:
    """The first few of many names."""
    if not names:
        return ""
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return f"{lead} {', '.join(names[:3])}{more}"


def read_weights(path: str | PathLike[str]) -> dict[str, Any]:
    """What a checkpoint file holds, read with weights_only=True: code in a file is refused, never run.

    Raises CornetError for a file that is missing, cut off, or holds anything but tensors and plain data.
    """
    path = Path(path)
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise CornetError(f"{path} does not exist; give the path of a checkpoint file.") from None
    except pickle.UnpicklingError as error:
        reason = str(error)
        if "Unsupported global" in reason or "WeightsUnpickler" in reason or "Unsupported operand" in reason:
            first = reason.split("GLOBAL ")[-1].split(" ")[0] if "GLOBAL " in reason else "an unknown object"
            raise CornetError(
                f"{path} holds code or objects ({first}) besides tensors and was refused; have its owner save "
                "it again as torch.save({'state_dict': model.state_dict()}, file) and use that."
            ) from None
        raise CornetError(
            f"{path} is no checkpoint or is damaged ({first_line(error)}); get it again."
        ) from None
    except (RuntimeError, EOFError, OSError, ValueError, KeyError) as error:
        raise CornetError(
            f"{path} is no checkpoint or is damaged ({first_line(error)}); get it again."
        ) from None
    if not isinstance(content, dict):
        raise CornetError(f"{path} holds {type(content).__name__}, not a dict of weights; give another file.")
    return content


def first_line(error: Exception) -> str:
    return str(error).strip().split("\n")[0][:120] or type(error).__name__

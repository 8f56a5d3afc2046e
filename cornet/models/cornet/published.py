"""The 2018-2019 checkpoint layout: its names, to and from ours, and loading it safely.

A published file is a dict with the weights under "state_dict", each key beginning with "module.".
"""

import re
from collections.abc import Iterable, Mapping
from os import PathLike
from typing import Any

import torch
from torch import Tensor

from cornet.errors import CornetError
from cornet.models.cornet.network import CHANNELS, CORnet
from cornet.models.cornet.norm import SteppedNorm
from cornet.models.safe_load import read_checkpoint

__all__ = ["load_published", "own_layout", "published_names", "refuse_whole_numbers", "to_published"]

PREFIX = "module."
OPTIONAL = ".num_batches_tracked"
KINDS = {"feedforward": "cornet_z", "recurrent": "cornet_r or cornet_rt", "bottleneck": "cornet_s"}


def published_names(net: CORnet) -> dict[str, str]:
    """Our state-dict key -> the published one (without "module."), in the published order."""
    names: dict[str, str] = {}
    for area_name, area in net.areas.items():
        norms = {name: module for name, module in area.named_children() if isinstance(module, SteppedNorm)}
        unshared: list[tuple[int, str, str]] = []
        for key in area.state_dict():
            part, _, rest = key.partition(".")
            ours = f"areas.{area_name}.{key}"
            if part not in norms:
                names[ours] = f"{area_name}.{key}"
                continue
            _, step, entry = rest.split(".")  # "norms", the step, the entry
            if norms[part].numbered:
                unshared.append((int(step), ours, f"{area_name}.{part}_{step}.{entry}"))
            else:
                names[ours] = f"{area_name}.{part}.{entry}"
        # The published definition adds its unshared norms last, step by step.
        for _, ours, published in sorted(unshared, key=lambda item: item[0]):
            names[ours] = published
    for entry in net.decoder.state_dict():
        names[f"decoder.{entry}"] = f"decoder.linear.{entry}"
    if net.feedback is not None:  # no published network has any
        names |= {key: key for key in (f"feedback.{entry}" for entry in net.feedback.state_dict())}
    return names


def to_published(net: CORnet) -> dict[str, Tensor]:
    """The weights in the published layout (no "module." prefix), in the published order."""
    state = net.state_dict()
    return {published: state[ours] for ours, published in published_names(net).items()}


def load_published(net: CORnet, source: str | PathLike[str] | Mapping[str, Any]) -> CORnet:
    """Load weights in the published layout into `net`, in place, and return it.

    source: a file, or what was read from one: a state dict or a dict that holds one under "state_dict"
        (training saved the optimiser beside it; that is ignored). Keys may begin with "module.";
        num_batches_tracked may be missing. A checkpoint of train.py will do too ("net." and our own keys).
        The network keeps its device and its precision.

    R and RT have the same entries: a file of the one loads into the other.

    Raises CornetError for a file that cannot be read safely, another network's weights, or another number
    of classes, of steps, or of channels. Nothing is loaded then.
    """
    label = "the state dict" if isinstance(source, Mapping) else str(source)
    content = source if isinstance(source, Mapping) else read_checkpoint(source)
    names, own = published_names(net), net.state_dict()
    given = check_published(net, content, label)
    with torch.no_grad():
        for ours, published in names.items():
            if published in given:
                own[ours].copy_(given[published])
    return net


def check_published(
    net: CORnet, content: Mapping[str, Any], label: str = "the state dict"
) -> dict[str, Tensor]:
    """The weights in a file's content by their published names. Raises CornetError unless they are the network's."""
    names, own = published_names(net), net.state_dict()
    given = {
        names.get(key.removeprefix("net."), key): value for key, value in weights_in(content, label).items()
    }
    refuse_others(label, given, {published: own[ours] for ours, published in names.items()})
    return given


def weights_in(content: Mapping[str, Any], label: str) -> dict[str, Tensor]:
    """The weights in a checkpoint's content, without the prefix. Raises CornetError for anything but tensors."""
    state = content.get("state_dict", content)
    if not isinstance(state, Mapping):
        raise CornetError(
            f"{label} has under state_dict no dict of tensors but {type(state).__name__}; give another file."
        )
    if not any(isinstance(value, Tensor) for value in state.values()):
        raise CornetError(f"{label} holds no weights; {listed('it has', state) or 'it is empty'}.")
    for key, value in state.items():
        if not isinstance(value, Tensor):
            raise CornetError(
                f"{label} has under {key!r} no tensor but {type(value).__name__}; "
                "keep the weights alone in a dict under 'state_dict'."
            )
        if value.layout != torch.strided or value.is_meta or value.is_complex() or value.is_quantized:
            raise CornetError(
                f"{label} has under {key!r} no plain numbers; save the weights as dense tensors."
            )
        if value.numel() * value.element_size() > value.untyped_storage().nbytes():
            raise CornetError(
                f"{label} has under {key!r} fewer numbers than its shape {tuple(value.shape)} needs; give another file."
            )
    return {str(key).removeprefix(PREFIX): value for key, value in state.items()}


def refuse_others(label: str, given: Mapping[str, Tensor], own: Mapping[str, Tensor]) -> None:
    """Raise CornetError, saying what differs, unless the weights `given` fit those of the network, `own`."""
    missing = [key for key in own if key not in given and not key.endswith(OPTIONAL)]
    extra = [key for key in given if key not in own]
    misfits = [key for key in own if key in given and given[key].shape != own[key].shape]
    if not (missing or extra or misfits):
        refuse_whole_numbers(label, given, own)
        return
    theirs, ours = settings(given), settings(own)
    if theirs.get("block") and theirs["block"] != ours["block"]:
        raise CornetError(
            f"{label} holds the weights of {KINDS[theirs['block']]}, but the network is {KINDS[ours['block']]}; "
            "build the network by the file's name."
        )
    differing = [word for word in ours if word in theirs and theirs[word] != ours[word]]
    if "block" in theirs and differing:
        had = ", ".join(f"{word}={theirs[word]!r}" for word in differing)
        has = ", ".join(f"{word}={ours[word]!r}" for word in differing)
        raise CornetError(
            f"{label} has {had}, but the network {has}; build the network with what the file has, or give another file."
        )
    shapes = (f"{key} of shape {tuple(given[key].shape)}, not {tuple(own[key].shape)}" for key in misfits)
    reasons = [listed("it lacks", missing), listed("it has also", extra), listed("it has", shapes)]
    raise CornetError(
        f"{label} does not hold this network's weights: {'; '.join(filter(None, reasons))}; "
        "give a file in the published layout of this network."
    )


def refuse_whole_numbers(label: str, given: Mapping[str, Tensor], own: Mapping[str, Tensor]) -> None:
    """Raise CornetError for whole numbers where the network has weights: a mask, or a quantised file."""
    for key, value in own.items():
        if key in given and value.is_floating_point() and not given[key].is_floating_point():
            raise CornetError(
                f"{label} holds {given[key].dtype} under {key!r}, but weights are floating-point numbers; give a file "
                "with the weights as they were trained."
            )


def own_layout(state: Mapping[str, Tensor]) -> dict[str, Tensor] | None:
    """The weights of `net.state_dict()` by their published names, as far as names alone tell; None for other files."""
    state = {key.removeprefix("net."): value for key, value in state.items()}
    if not any(key.startswith("areas.") for key in state):
        return None
    steps = any(re.search(r"\.norms\.[1-9]", key) for key in state)

    def published(key: str) -> str:
        found = re.fullmatch(r"areas\.(\w+)\.(\w+)\.norms\.(\d+)\.(\w+)", key)
        if found is None:
            return key.removeprefix("areas.").replace("decoder.", "decoder.linear.")
        area, norm, step, entry = found.groups()
        numbered = steps and norm not in ("norm_skip", "norm_input") and area != "V1"
        return f"{area}.{norm}{f'_{step}' if numbered else ''}.{entry}"

    return {published(key): value for key, value in state.items()}


def settings(state: Mapping[str, Tensor]) -> dict[str, Any]:
    """The arguments of `CORnet` that weights in the published layout were made with, as far as they tell."""
    found: dict[str, Any] = {}
    blocks = {"V2.conv.weight": "feedforward", "V2.norm_input": "recurrent", "V2.conv3.weight": "bottleneck"}
    for key, block in blocks.items():
        if any(own == key or own.startswith((f"{key}.", f"{key}_")) for own in state):
            found["block"] = block
    decoder = state.get("decoder.linear.weight")
    if decoder is not None and decoder.ndim == 2:
        found["num_classes"] = decoder.shape[0]
        found["width"] = float(f"{decoder.shape[1] / CHANNELS[-1]:.4g}")
    contract = state.get("V2.conv3.weight")
    if (
        found.get("block") == "bottleneck"
        and contract is not None
        and contract.ndim == 4
        and contract.numel()
    ):
        found["bottleneck"] = float(f"{contract.shape[1] / contract.shape[0]:.4g}")
    last = 3 if found.get("block") == "bottleneck" else 1  # of an area's norms that every step has
    times: dict[str, int] = {}
    for found_step in (re.match(rf"(\w+)\.norm{last}_(\d+)\.", key) for key in state):
        if found_step:
            times[found_step[1]] = max(times.get(found_step[1], 0), int(found_step[2]) + 1)
    if times:
        found["norm"] = "per_step"
        if max(times.values()) > 1 and not any(
            re.search(rf"\.norm{last}_[1-9]\d*\.weight", key) for key in state
        ):
            found["norm"] = "shared_affine"
        found["times"] = times
    elif found.get("block") in ("recurrent", "bottleneck"):
        found["norm"] = "shared" if f"V2.norm{last}.running_mean" in state else "group"
    return found


def listed(lead: str, words: Iterable[Any]) -> str:
    """The first few of many words; nothing for none."""
    words = [str(word) for word in words]
    if not words:
        return ""
    more = f" and {len(words) - 3} more" if len(words) > 3 else ""
    return f"{lead} {', '.join(words[:3])}{more}"

"""Load and write checkpoints in the published layout (2018-2019), and translate its names to ours and back.

A published file is a dict with the weights under "state_dict"; each key starts with "module.".
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from os import PathLike
from typing import Any

import torch
from torch import Tensor

from cornet.errors import CornetError
from cornet.models.cornet.network import CORnet
from cornet.models.cornet.norm import SteppedNorm
from cornet.models.cornet.variants import CHANNELS
from cornet.models.weight_files import Weights, extract_weights, read_weight_file

__all__ = [
    "check_floating_point",
    "check_published",
    "infer_arguments",
    "load_published",
    "published_names",
    "rename_own_layout",
    "to_published",
]

USUAL = ("module.", "net.")
"""Prefixes of published files and of train.py's checkpoints."""
OPTIONAL = ".num_batches_tracked"
KINDS = {"feedforward": "cornet_z", "recurrent": "cornet_r or cornet_rt", "bottleneck": "cornet_s"}


def published_names(net: CORnet) -> dict[str, str]:
    """Map our state-dict keys to the published ones (without "module."), in the published order."""
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
            _, step, entry = rest.split(".")  # "norms", step, entry
            if norms[part].has_entries_per_step:
                unshared.append((int(step), ours, f"{area_name}.{part}_{step}.{entry}"))
            else:
                names[ours] = f"{area_name}.{part}.{entry}"
        # The published code adds unshared norms last, step by step.
        for _, ours, published in sorted(unshared, key=lambda item: item[0]):
            names[ours] = published
    for entry in net.decoder.state_dict():
        names[f"decoder.{entry}"] = f"decoder.linear.{entry}"
    if net.feedback is not None:  # published networks have none
        names |= {key: key for key in (f"feedback.{entry}" for entry in net.feedback.state_dict())}
    return names


def to_published(net: CORnet) -> dict[str, Tensor]:
    """Return the weights in the published layout (without the prefix "module."), in the published order."""
    state = net.state_dict()
    return {published: state[ours] for ours, published in published_names(net).items()}


def load_published(
    net: CORnet,
    source: str | PathLike[str] | Mapping[str, Any],
    ema: bool = False,
    label: str | None = None,
    report: bool = True,
    other_classes: bool = False,
) -> CORnet:
    """Load weights in the published layout into `net`, in place, and return it.

    source: a file, or its content: a state dict, or a dict with one under "state_dict" (other entries, such as
        the optimiser, are ignored). Keys may start with "module."; num_batches_tracked may be missing.
        Checkpoints of train.py are accepted, too ("net." and our own keys), and files of other programs whose
        weights have another prefix or key; what was done is then logged in one line.
    ema: take averaged weights (under "state_dict_ema" or "model_ema"). label: the file, for messages. report: log what
        was unusual in the file. other_classes: if only the number of classes differs, load all but the decoder, and say
        so; a network without a decoder leaves that of the file out.

    The network keeps its device and dtype. R and RT have the same entries, so a file of one loads into the other.

    Raises CornetError, before anything is loaded, for a file that cannot be read safely, and for weights of another
    network or with another number of classes, steps or channels.
    """
    label = label or ("the state dict" if isinstance(source, Mapping) else str(source))
    content = source if isinstance(source, Mapping) else read_weight_file(source)
    names, own = published_names(net), net.state_dict()
    found, note = without_other_decoder(net, content, label, ema) if other_classes else (None, "")
    found = found or check_published(net, content, label, ema)
    with torch.no_grad():
        for ours, published in names.items():
            if published in found.tensors:
                own[ours].copy_(found.tensors[published])
    if report:
        found.report(label, USUAL, more=note)
    return net


def without_other_decoder(
    net: CORnet, content: Mapping[str, Any], label: str, ema: bool
) -> tuple[Weights | None, str]:
    """Return a file's weights without a decoder that the network does not take, and a note; None if it fits."""
    names, own = published_names(net), net.state_dict()
    expected = {published: own[ours] for ours, published in names.items()}
    found = extract_weights(content, label, (expected, own), ema=ema)
    given = {names.get(key, key): value for key, value in found.tensors.items()}
    decoder = [published for ours, published in names.items() if ours.startswith("decoder.")]
    if not decoder:
        given = {key: value for key, value in given.items() if not key.startswith("decoder.")}
        check_same_network(label, given, expected)
        return replace(found, tensors=given), ""
    classes = [len(weights[decoder[0]]) for weights in (given, expected) if decoder and decoder[0] in weights]
    if len(classes) < 2 or classes[0] == classes[1]:
        return None, ""
    given, expected = (
        {k: v for k, v in weights.items() if k not in decoder} for weights in (given, expected)
    )
    check_same_network(label, given, expected)
    note = f"the decoder has {classes[0]} classes in the file, not {classes[1]}; it was not loaded and starts untrained"
    return replace(found, tensors=given), note


def check_published(
    net: CORnet, content: Mapping[str, Any], label: str = "the state dict", ema: bool = False
) -> Weights:
    """Return a file's weights by published name. Raises CornetError if they do not fit the network."""
    names, own = published_names(net), net.state_dict()
    expected = {published: own[ours] for ours, published in names.items()}
    found = extract_weights(content, label, (expected, own), ema=ema)
    given = {names.get(key, key): value for key, value in found.tensors.items()}
    check_same_network(label, given, expected)
    return replace(found, tensors=given)


def check_same_network(label: str, given: Mapping[str, Tensor], own: Mapping[str, Tensor]) -> None:
    """Raise CornetError with the differences unless the weights `given` fit the network's, `own`."""
    missing = [key for key in own if key not in given and not key.endswith(OPTIONAL)]
    extra = [key for key in given if key not in own]
    misfits = [key for key in own if key in given and given[key].shape != own[key].shape]
    if not (missing or extra or misfits):
        check_floating_point(label, given, own)
        return
    theirs, ours = infer_arguments(given), infer_arguments(own)
    if theirs.get("block") and theirs["block"] != ours["block"]:
        raise CornetError(
            f"{label} holds the weights of {KINDS[theirs['block']]}, but the network is {KINDS[ours['block']]}; "
            "build the network that the file is named after."
        )
    differing = [word for word in ours if word in theirs and theirs[word] != ours[word]]
    if "block" in theirs and differing:
        had = ", ".join(f"{word}={theirs[word]!r}" for word in differing)
        has = ", ".join(f"{word}={ours[word]!r}" for word in differing)
        raise CornetError(
            f"{label} has {had}, but the network {has}; build the network with the file's values, or give another file."
        )
    shapes = (f"{key} of shape {tuple(given[key].shape)}, not {tuple(own[key].shape)}" for key in misfits)
    reasons = [
        summarise("missing", missing),
        summarise("unexpected", extra),
        summarise("wrong shape", shapes),
    ]
    raise CornetError(
        f"{label} does not hold this network's weights: {'; '.join(filter(None, reasons))}; "
        "give a file in the published layout of this network."
    )


def check_floating_point(label: str, given: Mapping[str, Tensor], own: Mapping[str, Tensor]) -> None:
    """Raise CornetError for integers in place of weights, as in masks and quantised files."""
    for key, value in own.items():
        if key in given and value.is_floating_point() and not given[key].is_floating_point():
            raise CornetError(
                f"{label} holds {given[key].dtype} under {key!r}, but weights must be floating-point; give a file "
                "with the original weights."
            )


def rename_own_layout(state: Mapping[str, Tensor]) -> dict[str, Tensor] | None:
    """Rename `net.state_dict()` keys to the published layout, judging by names only; None for other files."""
    if not any(key.startswith("areas.") for key in state):
        return None
    steps = any(re.search(r"\.norms\.[1-9]", key) for key in state)

    def published(key: str) -> str:
        found = re.fullmatch(r"areas\.(\w+)\.(\w+)\.norms\.(\d+)\.(\w+)", key)
        if found is None:
            return key.removeprefix("areas.").replace("decoder.", "decoder.linear.")
        area, norm, step, entry = found.groups()
        has_entries_per_step = steps and norm not in ("norm_skip", "norm_input") and area != "V1"
        return f"{area}.{norm}{f'_{step}' if has_entries_per_step else ''}.{entry}"

    return {published(key): value for key, value in state.items()}


def infer_arguments(state: Mapping[str, Tensor]) -> dict[str, Any]:
    """Infer the arguments of `CORnet` from weights in the published layout, as far as possible."""
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
    last = 3 if found.get("block") == "bottleneck" else 1  # number of the last norm, which every step has
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


def summarise(lead: str, words: Iterable[Any]) -> str:
    """`lead` and the first three words; "" without words."""
    words = [str(word) for word in words]
    if not words:
        return ""
    more = f" and {len(words) - 3} more" if len(words) > 3 else ""
    return f"{lead} {', '.join(words[:3])}{more}"

"""Build networks by name."""

import difflib
import os
from collections.abc import Mapping, Sequence
from os import PathLike
from typing import Any

import torch

from cornet.errors import CornetError
from cornet.models.base import Network
from cornet.models.loading import load_weights
from cornet.models.registry import Registered, registered
from cornet.models.timm_api.features import FeatureMaps
from cornet.models.weights import fetch_published
from cornet.old_names import MODEL_ARGUMENTS

__all__ = ["create_model"]


def create_model(
    name: str,
    *,
    pretrained: bool | str | PathLike[str] = False,
    weights_url: str | PathLike[str] | None = None,
    accept_hash: bool = False,
    ema: bool = False,
    features_only: bool = False,
    out_indices: int | Sequence[int] | None = None,
    **arguments: Any,
) -> Any:  # the class depends on the name
    """Build a `cornet.models.Network` by name, e.g. create_model("cornet_s", num_classes=10, width=0.25).

    name: one of `list_models()`.
    pretrained: True loads the published weights, fetched once and cached; a path loads them from that file. For another
        number of classes all but the decoder is loaded, with a line in the log.
    weights_url: URL or folder to fetch from; default: the environment variable CORNET_WEIGHTS_URL, else the
        original server.
    accept_hash: accept a file whose SHA-256 does not match its name.
    ema: load the averaged weights of the file `pretrained`.
    features_only: return a `cornet.models.timm_api.features.FeatureMaps`, whose `forward` gives a list of maps, one for
        each area in `out_indices` (positions, or a number of last ones; default: all areas with a map), as in timm.
    arguments: keyword arguments of the network, for cornet_... those of `CORnet`; defaults are the published values.
        num_classes=0: without a decoder, as in timm.

    Raises CornetError for an unknown name or argument, for weights that exceed the free memory, and for weights that
    cannot be fetched or do not fit.
    """
    entry = registered(name)
    for word in arguments:
        if word not in entry.accepts and MODEL_ARGUMENTS.get(word) not in entry.accepts:
            near = difflib.get_close_matches(word, entry.accepts, 1)
            hint = f"did you mean {near[0]}?" if near else f"choose from {', '.join(entry.accepts)}."
            raise CornetError(f"{name} has no argument {word!r}; {hint}")
    if ema and (pretrained is True or not pretrained):
        raise CornetError("ema=True chooses averaged weights in a file; give pretrained=PATH too.")
    if out_indices is not None and not features_only:
        raise CornetError(f"out_indices={out_indices!r} chooses feature maps; give features_only=True too.")
    classes = arguments.get("num_classes")
    headless = classes == 0 and not isinstance(classes, bool)
    if headless:
        arguments["num_classes"] = (
            1  # of the decoder that is taken away below; a class may require the argument
        )
    check_memory(entry, arguments)
    net = entry.make(**arguments)
    if not isinstance(net, Network):
        raise CornetError(
            f"{name} is a {type(net).__name__}, which must be a subclass of cornet.models.Network."
        )
    net.made_with = {"name": name, **net.recorded_arguments(arguments)}
    if headless:
        net.reset_classifier(0)
    if pretrained is True:
        source = fetch_published(name, weights_url, accept_hash=accept_hash)
        load_weights(name, net, source, other_classes=True)
    elif pretrained:
        load_weights(name, net, os.fspath(pretrained), ema=ema, other_classes=True)
    return FeatureMaps(net, out_indices) if features_only else net


def check_memory(entry: Registered, arguments: Mapping[str, Any]) -> None:
    """Raise CornetError if the weights would exceed the free memory. Counts them on the meta device."""
    from cornet.memory import available_memory

    if torch.get_default_device().type == "meta":
        return
    with torch.device("meta"):
        needed = sum(
            tensor.numel() * tensor.element_size() for tensor in entry.make(**arguments).state_dict().values()
        )
    if needed > (free := available_memory()):
        raise CornetError(
            f"{entry.name} with these arguments has {needed / 2**30:,.1f} GiB of weights, but only "
            f"{free / 2**30:,.1f} GiB of memory is free; choose a smaller width, bottleneck or number of classes."
        )

"""Load checkpoints into networks of any family."""

from collections.abc import Mapping
from os import PathLike
from typing import Any

import torch

from cornet.errors import CornetError
from cornet.models.base import Network
from cornet.models.cornet.published import USUAL, check_floating_point
from cornet.models.registry import registered
from cornet.models.weight_files import extract_weights, read_weight_file

__all__ = ["load_state", "load_weights"]

Source = str | PathLike[str] | Mapping[str, Any]


def load_weights(name: str, net: Network, source: Source, **options: Any) -> None:
    """Load a checkpoint into `net`, in place, as the family of the model `name` does. Raises CornetError as it does.

    options: as in `load_state`, which a family without a loader of its own uses.
    """
    (registered(name).load or load_state)(net, source, **options)


def load_state(
    net: Network,
    source: Source,
    ema: bool = False,
    label: str | None = None,
    report: bool = True,
    other_classes: bool = False,
) -> None:
    """Load a state dict into `net`, in place: what a family does that registers no `load`.

    source: a file, or its content: a state dict, or a dict with one, as other programs write them; see
        `cornet.models.weight_files`. num_batches_tracked may be missing.
    ema: take averaged weights of the file. label: the file, for messages. report: log what was unusual in the file.
    other_classes: if only the number of classes differs, load all but the decoder, and say so; a network without a
        decoder leaves that of the file out.

    Raises CornetError, before anything is loaded, for a file that cannot be read safely, and for weights of another
    network.
    """
    label = label or ("the state dict" if isinstance(source, Mapping) else str(source))
    content = source if isinstance(source, Mapping) else read_weight_file(source)
    own = net.state_dict()
    note = ""
    found = extract_weights(content, label, [own], ema=ema)
    given = found.tensors
    decoder = [key for key in own if key.startswith("decoder.")]
    if other_classes and any(key in given and given[key].shape != own[key].shape for key in decoder):
        given = {key: value for key, value in given.items() if key not in decoder}
        own = {key: value for key, value in own.items() if key not in decoder}
        note = "the decoder is for other classes; it was not loaded and starts untrained"
    elif other_classes and not decoder:
        given = {key: value for key, value in given.items() if not key.startswith("decoder.")}
    missing = [key for key in own if key not in given and not key.endswith("num_batches_tracked")]
    extra = [key for key in given if key not in own]
    misfits = [key for key in own if key in given and given[key].shape != own[key].shape]
    if missing or extra or misfits:
        raise CornetError(
            f"{label} does not hold this network's weights: {len(missing)} are missing, {len(extra)} unexpected, "
            f"{len(misfits)} of another shape, such as {(missing + extra + misfits)[0]}; build the network with the "
            "file's arguments, or give another file."
        )
    check_floating_point(label, given, own)
    with torch.no_grad():
        for key, value in given.items():
            own[key].copy_(value)
    if report:
        found.report(label, USUAL, more=note)

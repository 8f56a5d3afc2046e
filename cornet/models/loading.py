"""Load checkpoints into networks of any family."""

from collections.abc import Mapping
from os import PathLike
from typing import Any

import torch

from cornet.errors import CornetError
from cornet.models.base import Network
from cornet.models.cornet.published import check_floating_point, extract_weights
from cornet.models.registry import registered
from cornet.models.safe_load import read_checkpoint

__all__ = ["load_state", "load_weights"]

Source = str | PathLike[str] | Mapping[str, Any]


def load_weights(name: str, net: Network, source: Source) -> None:
    """Load a checkpoint into `net`, in place, as the family of the model `name` does. Raises CornetError as it does."""
    (registered(name).load or load_state)(net, source)


def load_state(net: Network, source: Source) -> None:
    """Load a state dict into `net`, in place: what a family does that registers no `load`.

    source: a file, or its content: a state dict, or a dict with one under "state_dict". Keys may start with "module."
    or "net."; num_batches_tracked may be missing. Raises CornetError, before anything is loaded, for a file that cannot
    be read safely, and for weights of another network.
    """
    label = "the state dict" if isinstance(source, Mapping) else str(source)
    content = source if isinstance(source, Mapping) else read_checkpoint(source)
    given = {key.removeprefix("net."): value for key, value in extract_weights(content, label).items()}
    own = net.state_dict()
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

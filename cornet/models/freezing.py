"""Fine-tune a network: keep some areas as they are, and train others at learning rates of their own."""

import difflib
from collections.abc import Mapping, Sequence
from typing import Any

from torch import nn

from cornet.errors import CornetError

__all__ = ["check_rates", "freeze", "rate_factor"]


def freeze(net: Any, names: Sequence[str]) -> list[nn.Module]:
    """Stop the training of parts of a network and return them; keep them in evaluation mode while the rest trains.

    names: areas, or names of modules such as "decoder" or "layer1". Raises CornetError for an unknown name, and if
    nothing would be left to train.
    """
    parts = parts_of(net)
    frozen = []
    for name in names:
        if name not in parts:
            raise CornetError(
                f"model.freeze names {name!r}, which the network does not have; {near(name, parts)}"
            )
        parts[name].requires_grad_(False)
        frozen.append(parts[name])
    if names and not any(parameter.requires_grad for parameter in net.parameters()):
        raise CornetError(f"model.freeze={list(names)} leaves nothing to train; freeze fewer parts.")
    return frozen


def check_rates(net: Any, rates: Mapping[str, float]) -> None:
    """Raise CornetError for a part that the network does not have, and for a factor below 0."""
    parts = parts_of(net)
    for name, factor in rates.items():
        if name not in parts:
            raise CornetError(
                f"recipe.rates names {name!r}, which the network does not have; {near(name, parts)}"
            )
        if not (isinstance(factor, int | float) and 0 <= factor < float("inf")):
            raise CornetError(
                f"recipe.rates.{name}={factor!r} must be a factor of the learning rate, at least 0."
            )


def rate_factor(parameter: str, rates: Mapping[str, float]) -> float:
    """Return the factor of the learning rate of a parameter, by its full name; the longest matching part counts."""
    matching = [name for name in rates if f".{name}." in f".{parameter}"]
    return float(rates[max(matching, key=len)]) if matching else 1.0


def parts_of(net: Any) -> dict[str, nn.Module]:
    """Return the modules of a network by name; areas also by their own name."""
    inner = getattr(net, "net", net)  # of a user's own module, without its wrapper
    areas = getattr(net, "areas", None)
    named = dict(areas.items()) if isinstance(areas, nn.ModuleDict) else {}
    return named | {name: module for name, module in inner.named_modules() if name and module is not areas}


def near(name: str, parts: Mapping[str, nn.Module]) -> str:
    found = difflib.get_close_matches(name, parts, 3) or [part for part in parts if "." not in part][:8]
    return f"choose one of {', '.join(found)}."

"""Choose a network's weights in the content of a file, and say in one line what was done."""

import logging
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from cornet.errors import CornetError, printable
from cornet.models.safe_load import refused_error
from cornet.models.weight_files.plain_values import NumpyArray, unread_name
from cornet.models.weight_files.prefixes import find_prefix, prefix_of_starts

__all__ = ["Weights", "extract_weights"]

log = logging.getLogger("cornet")

RAW = ("state_dict", "model_state_dict", "model", "net", "weights", "params")
"""Keys that hold weights, in the order in which they are tried."""
AVERAGED = ("state_dict_ema", "model_ema")
"""Keys of weights averaged over training steps, as timm and others write them."""


@dataclass(frozen=True)
class Weights:
    """Weights of one network, without a prefix.

    key: where they stand in the file; "" for the file itself. left: entries beside them under the same key. averaged:
    the key of averaged weights that were not used. arrays: number of weights that were NumPy arrays. unread: names of
    objects that were not read, by the key that holds them.
    """

    tensors: dict[str, Tensor]
    key: str
    prefix: str
    left: list[str] = field(default_factory=list)
    averaged: str = ""
    arrays: int = 0
    unread: dict[str, str] = field(default_factory=dict)

    def report(self, label: str, usual: Collection[str] = (), more: str = "") -> None:
        """Log one line if the file has more than plain weights. usual: prefixes that need no line. more: to add."""
        taken = [f"read {self.key}"] if self.key else []
        taken += [f"removed the prefix {self.prefix}"] if self.prefix else []
        said = [not_read(self.left)]
        if self.arrays:
            said.append(f"{self.arrays} NumPy arrays became tensors")
        if self.averaged:
            said.append(f"averaged weights are under {self.averaged} (choose them by ?ema or ema=True)")
        said += [not_read([f"{key} ({name})" for key, name in self.unread.items()]), more]
        said = [part for part in said if part]
        if said or self.key not in ("", "state_dict") or (self.prefix and self.prefix not in usual):
            said = [", ".join(taken), *said] if taken else said
            log.warning("%s", printable(f"{label}: {'; '.join(said)}"))


def extract_weights(
    content: Mapping[str, Any],
    label: str,
    layouts: Sequence[Mapping[str, Tensor]] = (),
    optional: Collection[str] = (),
    starts: Sequence[str] = (),
    ema: bool = False,
) -> Weights:
    """Return the weights of a network from the content of a file.

    label: the file, for messages. layouts, optional: as for `find_prefix`; starts: as for `prefix_of_starts`, if the
    network is not known. ema: take averaged weights. Raises CornetError if there are none, if two sets of them fit
    equally, and for anything but dense tensors of real numbers.
    """
    key, state = find_state(content, label, ema)
    entries = {str(name): value for name, value in state.items()}
    prefix = (
        prefix_of_starts(entries, starts, label) if starts else find_prefix(entries, layouts, optional, label)
    )
    chosen = {name: value for name, value in entries.items() if name.startswith(prefix)}
    tensors = {name: as_tensor(name, value, label) for name, value in chosen.items()}
    averaged = "" if ema else next((name for name in AVERAGED if isinstance(content.get(name), Mapping)), "")
    return Weights(
        {name.removeprefix(prefix): value for name, value in tensors.items()},
        key,
        prefix,
        [name for name in entries if name not in chosen],
        averaged,
        sum(isinstance(value, NumpyArray) for value in chosen.values()),
        find_unread(content, key) if key else {},
    )


def find_state(content: Mapping[str, Any], label: str, ema: bool) -> tuple[str, Mapping[Any, Any]]:
    """Return the key and the value of the mapping that holds the weights; the key is "" for the content itself."""
    if ema:
        for key in AVERAGED:
            if isinstance(content.get(key), Mapping):
                return key, content[key]
        raise CornetError(
            f"{label} holds no averaged weights ({' or '.join(AVERAGED)}); leave out ema, or give another file."
        )
    for key in RAW:
        if isinstance(content.get(key), Mapping) and has_tensors(content[key]):
            return key, content[key]
    state = content.get("state_dict", content)
    if not isinstance(state, Mapping):
        if name := unread_name(state):
            raise refused_error(label, name, "state_dict", "d['state_dict'].state_dict()")
        raise CornetError(
            f"{label} holds {type(state).__name__} under state_dict, not a dict of tensors; give another file."
        )
    if has_tensors(state):
        return "state_dict" if state is not content else "", state
    for key in (*RAW, *content):
        if name := unread_name(content.get(key)):
            weights = f"d[{key!r}].state_dict()" if key in RAW else "d['state_dict']"
            raise refused_error(label, name, key if isinstance(key, str) else None, weights)
    for key in AVERAGED:
        if isinstance(content.get(key), Mapping) and has_tensors(content[key]):
            raise CornetError(
                f"{label} holds only averaged weights, under {key}; choose them by ?ema (ema=True)."
            )
    had = ", ".join(str(key) for key in list(state)[:3]) + (
        f" and {len(state) - 3} more" if len(state) > 3 else ""
    )
    raise CornetError(
        f"{label} holds no weights ({f'it has {had}' if state else 'it is empty'}); give another file."
    )


def has_tensors(state: Mapping[Any, Any]) -> bool:
    return any(isinstance(value, Tensor | NumpyArray) for value in state.values())


def as_tensor(name: str, value: Any, label: str) -> Tensor:
    """Return an entry of a state dict. Raises CornetError for anything but a dense tensor of real numbers."""
    if isinstance(value, NumpyArray) and value.array is not None and value.array.dtype.kind in "biuf":
        native = value.array.astype(value.array.dtype.newbyteorder("="))
        return torch.from_numpy(native)
    if inner := unread_name(value):
        raise refused_error(label, inner, name)
    if not isinstance(value, Tensor):
        raise CornetError(
            f"{label} holds {type(value).__name__} under {name!r}, not a tensor; "
            "save only the weights, in a dict under 'state_dict'."
        )
    if value.layout != torch.strided or value.is_meta or value.is_complex() or value.is_quantized:
        raise CornetError(
            f"{label} does not hold a dense real tensor under {name!r}; save the weights as dense tensors."
        )
    if value.numel() * value.element_size() > value.untyped_storage().nbytes():
        raise CornetError(
            f"{label} holds too few numbers under {name!r} for its shape {tuple(value.shape)}; give another file."
        )
    return value


def find_unread(content: Mapping[str, Any], skip: str) -> dict[str, str]:
    """Return the name of the first object that was not read, by the key whose value holds it."""
    found: dict[str, str] = {}
    seen: set[int] = set()  # values can be shared, and even contain themselves
    for key, value in content.items():
        waiting = [] if key == skip else [value]
        while waiting:
            one = waiting.pop()
            if name := unread_name(one):
                found[key[:60] if isinstance(key, str) else type(key).__name__] = name
                break
            if isinstance(one, dict | list | tuple) and id(one) not in seen:
                seen.add(id(one))
                waiting += [*one, *one.values()] if isinstance(one, dict) else one
    return found


def not_read(words: Sequence[str]) -> str:
    """Return "a, b, c and 2 more were not read"; "" without words."""
    if not words:
        return ""
    more = f" and {len(words) - 3} more" if len(words) > 3 else ""
    return (
        f"{', '.join(word[:120] for word in words[:3])}{more} {'was' if len(words) == 1 else 'were'} not read"
    )

"""What a network's answers depend on, as one hash: its weights, its structure, its code. Never its name.

Two networks with the same hash answer alike; a single changed weight, setting or line of a module's source gives
another hash. What is cached under it can therefore never be taken for another network's.
"""

import functools
import hashlib
import inspect
import json
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

__all__ = ["digest", "module_identity"]

CODE_VERSION = 1
"""Raise it when a change of this package's code changes what is recorded."""


def module_identity(module: nn.Module, **extra: Any) -> str:
    """SHA-256 over a module's weights and buffers, its structure, plain attributes and source, and `extra`.

    extra: plain data on which the answers depend besides (preprocessing). The weights are read anew at each call, so
    that a network in training has another identity after each step.
    """
    parts = hashlib.sha256(digest(CODE_VERSION, extra).encode())
    for name, part in module.named_modules():
        kind = type(part)
        settings = {key: value for key, value in vars(part).items() if key not in _OWN}
        code = _source(kind)  # type: ignore[arg-type]
        parts.update(json.dumps([name, kind.__module__, kind.__qualname__, code]).encode())
        parts.update(repr(part.extra_repr()).encode())
        for key in sorted(settings):
            if isinstance(settings[key], Tensor | np.ndarray):
                _add_tensor(parts, f"{name}.{key}", torch.as_tensor(settings[key]))
            elif (text := _plain(settings[key])) is not None:
                parts.update(f"{key}={text};".encode())
    # Both, and by name: state_dict leaves out buffers that are not persistent.
    for name, tensor in [*module.named_parameters(), *module.named_buffers()]:
        _add_tensor(parts, name, tensor)
    return parts.hexdigest()


def digest(*values: Any) -> str:
    """SHA-256 of plain data, the same in every process."""
    return hashlib.sha256(json.dumps(values, sort_keys=True, default=str).encode()).hexdigest()


# What every module has; neither training mode nor compilation is a part of what is recorded.
_OWN = {*vars(nn.Module()), "training", "_compiled_call_impl"}


def _add_tensor(parts: Any, name: str, tensor: Tensor) -> None:
    """Add a tensor's name, type, shape and bytes, whichever device and memory layout it has."""
    parts.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
    flat = tensor.detach().to("cpu").contiguous().view(-1)
    parts.update(flat.view(torch.uint8).numpy() if flat.numel() else b"")


def _plain(value: Any) -> str | None:
    """Numbers, texts and collections of them as text; None for anything else, whose text would name its address."""
    if value is None or isinstance(
        value, bool | int | float | complex | str | bytes | torch.dtype | torch.Size
    ):
        return repr(value)
    if isinstance(value, list | tuple | set | frozenset):
        items = [
            _plain(item)
            for item in (sorted(value, key=repr) if isinstance(value, set | frozenset) else value)
        ]
        return None if None in items else f"{type(value).__name__}{items}"
    if isinstance(value, dict):
        pairs = sorted((repr(key), _plain(item)) for key, item in value.items())
        return None if any(item is None for _, item in pairs) else repr(pairs)
    if inspect.isfunction(value):  # an activation function, say
        return f"{value.__module__}.{value.__qualname__}"
    return None


@functools.cache
def _source(kind: Any) -> str:
    """A hash of a class's source; of its forward's bytecode where it has none (made in a console)."""
    if kind.__module__.partition(".")[0] == "torch":
        return torch.__version__
    try:
        text = inspect.getsource(kind)
    except (OSError, TypeError):
        code = getattr(getattr(kind, "forward", None), "__code__", None)
        text = (
            repr((code.co_code, code.co_names, [c for c in code.co_consts if not inspect.iscode(c)]))
            if code
            else ""
        )
    return hashlib.sha256(text.encode()).hexdigest()

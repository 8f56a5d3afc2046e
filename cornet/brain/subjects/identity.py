"""One hash of what a network's answers depend on: weights, structure, settings and code, never its name."""

import contextlib
import enum
import functools
import hashlib
import inspect
import logging
from collections.abc import Callable, Mapping
from types import CodeType, MethodType
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from cornet.hashing import code_version, digest

__all__ = ["module_identity"]

DEEPEST = 6
"""Levels of objects within objects of a module's attributes that are looked into."""


def module_identity(module: nn.Module, **extra: Any) -> str:
    """SHA-256 over a module's weights and buffers, its structure, attributes, hooks and source, and `extra`.

    extra: plain data on which the answers depend besides (preprocessing). The weights are read anew at each call, so
    that a network in training has another identity after each step. Attributes may be numbers, text, tensors,
    functions (with what they close over), and collections and objects of such.
    """
    parts = hashlib.sha256(digest(extra).encode())
    kinds: set[Any] = {kind for part in module.modules() for kind in type(part).__mro__}
    parts.update(code_version(*sorted({kind.__module__ for kind in kinds})).encode())
    seen: dict[int, Any] = {id(part): part for part in module.modules()}
    for name, part in module.named_modules():
        kind: Any = type(part)
        parts.update(
            digest(name, kind.__module__, kind.__qualname__, _source(kind), part.extra_repr()).encode()
        )
        hooks = [*part._forward_pre_hooks.values(), *part._forward_hooks.values()]
        settings = {key: value for key, value in vars(part).items() if key not in _OWN}
        forward = None if kind.__module__.startswith("torch.") else kind.forward
        _add(parts, [hooks, settings, forward], seen, DEEPEST)
    # Both, and by name: state_dict leaves out buffers that are not persistent.
    for name, tensor in [*module.named_parameters(), *module.named_buffers()]:
        parts.update(f"{name}\n".encode())
        _add(parts, tensor, seen, 0)
    return parts.hexdigest()


# What every module has; neither training mode nor compilation is a part of what is recorded.
_OWN = {*vars(nn.Module()), "training", "_compiled_call_impl", "_compiled"}


def _add(parts: Any, value: Any, seen: dict[int, Any], depth: int) -> None:
    """Add a value's type and content. seen: objects by their id, which are not entered again.

    What cannot be looked into counts by its type.
    """
    parts.update(f"<{type(value).__module__}.{type(value).__qualname__}>".encode())
    if value is None or isinstance(value, _PLAIN):
        parts.update(repr(value).encode())
    elif isinstance(value, np.ndarray | np.generic):
        parts.update(digest(np.asarray(value)).encode())
    elif isinstance(value, Tensor):
        parts.update(f"{value.dtype} {tuple(value.shape)}\n".encode())
        flat = value.detach().to("cpu").contiguous().view(-1)
        parts.update(flat.view(torch.uint8).numpy() if flat.numel() else b"")
    elif depth > 0 and id(value) not in seen and not isinstance(value, logging.Logger):
        seen[id(value)] = value
        for item in _items(value):
            _add(parts, item, seen, depth - 1)


_PLAIN = (bool, int, float, complex, str, bytes, enum.Enum, torch.dtype, torch.device, torch.Size, type)


def _items(value: Any) -> list[Any]:
    """What an object is made of, in an order that is the same in every process."""
    if isinstance(value, list | tuple):
        return [len(value), *value]
    if isinstance(value, set | frozenset):
        return sorted(map(repr, value))
    if isinstance(value, Mapping):
        return [item for key in sorted(value, key=repr) for item in (repr(key), value[key])]
    if isinstance(value, functools.partial):
        return [value.func, value.args, value.keywords]
    if isinstance(value, MethodType):
        return [value.__func__, value.__self__]
    if inspect.isfunction(value):
        return _of_function(value)
    if isinstance(value, CodeType):
        return [value.co_code, value.co_names, value.co_consts]
    if inspect.isbuiltin(value):
        return [value.__name__]
    return [vars(value)] if hasattr(value, "__dict__") else []


def _of_function(function: Callable[..., Any]) -> list[Any]:
    """A function's name and code, its default arguments, what it closes over, and the plain globals that it uses."""
    code = function.__code__
    closed = []
    for cell in function.__closure__ or ():
        with contextlib.suppress(ValueError):  # it is empty yet
            closed.append(cell.cell_contents)
    used = {name: function.__globals__.get(name) for name in code.co_names}
    plain = {name: one for name, one in used.items() if isinstance(one, bool | int | float | str | Tensor)}
    return [function.__qualname__, code, function.__defaults__, function.__kwdefaults__, closed, plain]


@functools.cache
def _source(kind: Any) -> str:
    """A class's source; "" where it has none (made in a console)."""
    try:
        return inspect.getsource(kind)
    except (OSError, TypeError):
        return ""

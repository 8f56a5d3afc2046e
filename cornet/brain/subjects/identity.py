"""Hash everything that the outputs of a network depend on: weights, structure, settings and code, but not its name."""

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

MAX_DEPTH = 6
"""Levels of nested objects in a module's attributes that are hashed."""


def module_identity(module: nn.Module, **extra: Any) -> str:
    """SHA-256 of a module's weights, buffers, structure, attributes, hooks, source, and of `extra`.

    extra: other plain data that the outputs depend on (preprocessing). The weights are read on each call, so the
    identity changes during training. Attributes may be numbers, text, tensors, functions (with their closures), and
    collections and objects of these.
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
        _add(parts, [hooks, settings, forward], seen, MAX_DEPTH)
    # Not state_dict, which leaves out non-persistent buffers.
    for name, tensor in [*module.named_parameters(), *module.named_buffers()]:
        parts.update(f"{name}\n".encode())
        _add(parts, tensor, seen, 0)
    return parts.hexdigest()


# Attributes of every module, training mode, compilation, origin (ours and timm's), a decoder's initialisation, and
# images (which are hashed as preprocessing): none changes recorded features.
_ORIGIN = {"made_with", "image_settings", "decoder_init", "_model_args"}
_OWN = {*vars(nn.Module()), "training", "_compiled_call_impl", "_compiled", *_ORIGIN}


def _add(parts: Any, value: Any, seen: dict[int, Any], depth: int) -> None:
    """Add the type and content of a value to the hash; the type alone for unsupported types.

    seen: objects already hashed, by id; they are skipped.
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
    """The parts of an object, in an order that is the same in every process."""
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
        return _function_items(value)
    if isinstance(value, CodeType):
        return [value.co_code, value.co_names, value.co_consts]
    if inspect.isbuiltin(value):
        return [value.__name__]
    return [vars(value)] if hasattr(value, "__dict__") else []


def _function_items(function: Callable[..., Any]) -> list[Any]:
    """The name, code, default arguments, closure and plain globals of a function."""
    code = function.__code__
    closed = []
    for cell in function.__closure__ or ():
        with contextlib.suppress(ValueError):  # the cell is still empty
            closed.append(cell.cell_contents)
    used = {name: function.__globals__.get(name) for name in code.co_names}
    plain = {
        name: value for name, value in used.items() if isinstance(value, bool | int | float | str | Tensor)
    }
    return [function.__qualname__, code, function.__defaults__, function.__kwdefaults__, closed, plain]


@functools.cache
def _source(kind: Any) -> str:
    """Source of a class; "" if unavailable, as for a class from a console."""
    try:
        return inspect.getsource(kind)
    except (OSError, TypeError):
        return ""

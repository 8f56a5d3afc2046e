"""Build objects from `_target_` entries. This is the only module that calls Hydra's instantiate.

It imports any name. Check a recorded configuration with `cornet.runs.config` before passing it here.
"""

import difflib
import os
import sys
from collections.abc import Iterator, Mapping
from types import ModuleType
from typing import Any

from hydra._internal.utils import _locate
from hydra.errors import InstantiationException
from hydra.utils import instantiate
from omegaconf import OmegaConf

from cornet.errors import CornetError, own_error
from cornet.old_names import with_current_targets

__all__ = ["find_own_modules", "make", "targets"]


def find_own_modules() -> None:
    """Append the current folder to sys.path, so that `_target_` can name modules there. Installed modules win."""
    if os.getcwd() not in sys.path:
        sys.path.append(os.getcwd())


def make(config: Any, what: str, **extra: Any) -> Any:
    """Build one part of a configuration: call its `_target_` with its other keys and with `extra`.

    config: a DictConfig, whose references are resolved first, or plain data. what: its key, for messages. Raises
    CornetError if the name cannot be imported or the class refuses its arguments. A CornetError, and any other error
    that the user's own class raises, passes through unchanged.
    """
    content = OmegaConf.to_container(config, resolve=True) if OmegaConf.is_config(config) else config
    content = with_current_targets(content, warn=True)
    for key, name in targets(content, what):
        check_import(key, name)
    try:
        return instantiate(content, _convert_="all", **extra)
    except InstantiationException as error:
        from pytorch_lightning.utilities.exceptions import MisconfigurationException

        if (own := own_error(error)) is not None:
            raise own from None
        inner = error.__cause__
        if inner is None or isinstance(inner, TypeError | ValueError | MisconfigurationException):
            reason = " ".join(str(inner or error).split()).rstrip(".!")
            raise CornetError(
                f"the configuration's {what} is invalid: {reason}; `cornet train --help` lists every key."
            ) from error
        raise inner from None


def targets(node: Any, key: str = "") -> Iterator[tuple[str, Any]]:
    """Yield the dotted key and the value of every `_target_` at any depth."""
    items = node.items() if isinstance(node, Mapping) else enumerate(node) if isinstance(node, list) else ()
    for name, value in items:
        where = f"{key}[{name}]" if isinstance(node, list) else f"{key}.{name}".lstrip(".")
        if name == "_target_":
            yield where, value
        yield from targets(value, where)


def check_import(key: str, name: Any) -> None:
    """Raise CornetError if `name`, the value of `key`, is not the dotted name of something importable."""
    if not isinstance(name, str):
        raise CornetError(f"{key} is {name!r}; give a dotted name, such as my_module.MyCallback.")
    try:
        _locate(name)
    except Exception as error:  # a user's module can raise anything on import
        cause: BaseException = error
        while cause.__cause__ is not None:
            cause = cause.__cause__
        reason = f"{type(cause).__name__}: {' '.join(str(cause).split())}".rstrip(".: ")
        module, _, last = name.rpartition(".")
        if isinstance(known := sys.modules.get(module), ModuleType) and not hasattr(known, last):
            near = difflib.get_close_matches(last, dir(known), 1)
            hint = f"did you mean {module}.{near[0]}?" if near else "correct the name."
            raise CornetError(f"{key}={name}: the module {module} has no {last}; {hint}") from None
        raise CornetError(
            f"{key}={name} cannot be imported ({reason}); correct the name, or put the folder of its module on "
            "PYTHONPATH."
        ) from None

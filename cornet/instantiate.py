"""Building what a `_target_` names: the one place that calls Hydra's instantiate. It imports whatever is named.

Configurations recorded by a run go through `cornet.runs.config` first.
"""

import os
import sys
from collections.abc import Iterator, Mapping
from typing import Any

from hydra._internal.utils import _locate
from hydra.errors import InstantiationException
from hydra.utils import instantiate
from omegaconf import OmegaConf

from cornet.errors import CornetError, own_error
from cornet.old_names import with_current_targets

__all__ = ["find_own_modules", "make", "targets"]


def find_own_modules() -> None:
    """Let `_target_` name modules in the current folder, too; they hide no installed ones."""
    if os.getcwd() not in sys.path:
        sys.path.append(os.getcwd())


def make(config: Any, what: str, **extra: Any) -> Any:
    """Build one part of a configuration: call what its `_target_` names with its other keys and with `extra`.

    config: a DictConfig, whose references are resolved first, or plain data. what: its key, for messages. Raises
    CornetError for a name that cannot be imported and for arguments that the class refuses; a CornetError raised
    inside comes out as it is, and so does any other error of the user's own class.
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
                f"the configuration's {what} was refused: {reason}; see train.py --help."
            ) from error
        raise inner from None


def targets(node: Any, key: str = "") -> Iterator[tuple[str, Any]]:
    """The dotted key and the value of every `_target_`, however deep."""
    items = node.items() if isinstance(node, Mapping) else enumerate(node) if isinstance(node, list) else ()
    for name, value in items:
        where = f"{key}[{name}]" if isinstance(node, list) else f"{key}.{name}".lstrip(".")
        if name == "_target_":
            yield where, value
        yield from targets(value, where)


def check_import(key: str, name: Any) -> None:
    """Raise CornetError where what `name`, the value of `key`, says cannot be imported."""
    if not isinstance(name, str):
        raise CornetError(f"{key} is {name!r}; give a dotted name, such as my_module.MyCallback.")
    try:
        _locate(name)
    except Exception as error:  # importing a user's module can fail in any way
        cause: BaseException = error
        while cause.__cause__ is not None:
            cause = cause.__cause__
        reason = f"{type(cause).__name__}: {' '.join(str(cause).split())}".rstrip(".: ")
        raise CornetError(
            f"{key}={name} cannot be imported ({reason}); correct the name, or put the folder of its module on "
            "PYTHONPATH."
        ) from None

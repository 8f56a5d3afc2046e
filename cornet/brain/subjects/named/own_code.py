"""Build a network from a user's own code, named as package.module:function."""

import difflib
import re
import traceback
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

from torch import nn

from cornet.errors import CornetError

__all__ = ["build_own", "how_to_name", "is_own"]

OWN = re.compile(r"([A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*):([A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*)")


def is_own(name: str) -> bool:
    """Whether a name has the form package.module:function."""
    return OWN.fullmatch(name) is not None


def build_own(name: str, arguments: Mapping[str, Any]) -> nn.Module:
    """Import a function or class and call it. The current folder is searched, too.

    Raises CornetError if the module cannot be imported (with the import error), has no such attribute (with near
    names), if the call fails, or if it does not return a torch.nn.Module.
    """
    from cornet.instantiate import find_own_modules

    find_own_modules()
    module_name, _, attribute = name.partition(":")
    try:
        found: Any = import_module(module_name)
    except Exception as error:  # a user's module can raise anything on import
        raise CornetError(
            f"{module_name} cannot be imported ({_reason(error)}); correct the name, start in its folder, or put that "
            "folder on PYTHONPATH."
        ) from error
    for part in attribute.split("."):
        if not hasattr(found, part):
            near = difflib.get_close_matches(part, _names(found), 3) or _names(found)[:8]
            hint = f"did you mean {', '.join(near)}?" if near else "define it there."
            raise CornetError(f"{module_name} has no {attribute!r}; {hint}")
        found = getattr(found, part)
    if isinstance(found, nn.Module):
        return found
    if not callable(found):
        raise CornetError(
            f"{name} is a {type(found).__name__}; name a function or class that returns a torch.nn.Module."
        )
    try:
        net = found(**arguments)
    except CornetError:
        raise
    except Exception as error:  # any error of the user's function
        given = ", ".join(f"{key}={value!r}" for key, value in arguments.items())
        raise CornetError(
            f"{name}({given}) failed ({_reason(error)}); correct it, or its arguments."
        ) from error
    if not isinstance(net, nn.Module):
        raise CornetError(
            f"{name} returns a {type(net).__name__}, not a torch.nn.Module; return the network."
        )
    return net


def how_to_name(name: str) -> str:
    """How to name own code, for a file `nets.py` or a dotted name `nets.build`; "" for other names."""
    path = Path(name)
    if path.suffix == ".py" and not path.is_file():
        return f"the file {name} does not exist; own code is named as MODULE:FUNCTION, such as {path.stem}:build."
    if path.suffix == ".py":
        names = [f"{path.stem}:{found}" for found in _defined(path)[:3]] or [f"{path.stem}:build"]
        where = "" if path.parent == Path() else f" in the folder {path.parent}"
        return (
            f"{name} is Python code; name a function or class in it that returns the network: "
            f"{' or '.join(names)}{where}."
        )
    module, dot, attribute = name.rpartition(".")
    if dot and attribute.isidentifier() and Path(*module.split(".")).with_suffix(".py").is_file():
        return f"{name} is Python code; write a colon before the function or class: {module}:{attribute}."
    return ""


def _defined(path: Path) -> list[str]:
    """Names of the functions and classes at the top of a file, without running it."""
    import ast

    try:
        tree = ast.parse(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, SyntaxError):
        return []
    kinds = (ast.FunctionDef, ast.ClassDef)
    return [node.name for node in tree.body if isinstance(node, kinds) and not node.name.startswith("_")]


def _names(owner: Any) -> list[str]:
    """Public functions and classes of a module or class, those that it defines itself."""
    own = getattr(owner, "__name__", "") if isinstance(owner, ModuleType) else None
    members = {
        key: value for key, value in vars(owner).items() if not key.startswith("_") and callable(value)
    }
    return [key for key, value in members.items() if own is None or getattr(value, "__module__", own) == own]


def _reason(error: BaseException) -> str:
    """The type and text of an error, and where it was raised in the user's code."""
    text = f"{type(error).__name__}: {' '.join(str(error).split())}".rstrip(".: ")
    frames = [
        frame for frame in traceback.extract_tb(error.__traceback__) if "importlib" not in frame.filename
    ]
    if len(frames) < 2:
        return text
    return f"{text}, in {Path(frames[-1].filename).name}, line {frames[-1].lineno}"

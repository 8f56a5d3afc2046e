"""The formats of `cornet export`: one module or package each, found by its name ("torch-export" is torch_export).

A module has `SUMMARY`, a few words for the command's help; `SEVERAL`, whether several networks go into one folder; and
`write(sources, folder, name)`, which writes into an empty folder and returns what to tell the user: lines of text.
sources: `cornet.export.source.Source`, one unless SEVERAL. name: what the user calls the export.

A module may have `OPTIONS`, names of options of the command (keys of `FLAGS`) that its `write` takes as keyword
arguments, each only where the user gives it; and `push(folder, repository, private)`, which uploads what was written
and returns lines of text.
"""

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from pkgutil import iter_modules

from cornet.errors import CornetError

__all__ = ["FLAGS", "Format", "find_format", "format_names"]

FLAGS = {"licence": "--licence", "repository": "--push"}
"""Options of single formats: {keyword argument of `write`: option of the command}."""


@dataclass(frozen=True)
class Format:
    """One format; see this package's docstring."""

    name: str
    summary: str
    several: bool
    write: Callable[..., list[str]]
    options: tuple[str, ...] = ()
    push: Callable[..., list[str]] | None = None


def format_names() -> list[str]:
    """The names of all formats, in alphabetical order. Imports none of them."""
    return sorted(one.name.replace("_", "-") for one in iter_modules(__path__))


def find_format(name: str) -> Format:
    """Import a format. Raises CornetError for an unknown name."""
    if name not in format_names():
        raise CornetError(f"--to {name} is unknown; choose one of {', '.join(format_names())}.")
    module = import_module(f"{__name__}.{name.replace('-', '_')}")
    options, push = getattr(module, "OPTIONS", ()), getattr(module, "push", None)
    return Format(name, module.SUMMARY, module.SEVERAL, module.write, options, push)

"""Names of networks: a family registers its classes, or functions that build variants, with a decorator.

    @register("two_areas", summary="two recurrent areas", paper="me, 2026")
    class TwoAreas(Network):
        ...

The decorator stands at the beginning of a line of any file below cornet/models, with the name as text. These names are
found in the source, and a file is imported when its first network is created, so listing names needs no PyTorch. A
network that is registered anywhere else is known once its module is imported.
"""

import functools
import importlib
import inspect
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from cornet.errors import CornetError

__all__ = [
    "FILE_ARGUMENTS",
    "NO_ARGUMENTS",
    "Registered",
    "list_models",
    "name_of_class",
    "register",
    "registered",
]

NO_ARGUMENTS = ("pretrained", "weights_url", "accept_hash", "ema", "freeze")
"""Keys of `model` in a configuration that are not arguments of the network: its weights, and how they are trained."""

FILE_ARGUMENTS = ("patches",)
"""Arguments of networks that may name a file. A checkpoint records what was read, never the path."""

Make = TypeVar("Make", bound=Callable[..., Any])

_REGISTERS = re.compile(r"""^@register\(\s*["'](\w+)["'](,\s*inputs=)?""", re.MULTILINE)


@dataclass(frozen=True)
class Registered:
    """A named network.

    make: builds it from keyword arguments. accepts: the names of its arguments. summary: a few words for tables.
    top1: published ImageNet top-1 (fraction), or None; top1_note: how the images were cropped.
    weights: URL of the published checkpoint, "" for none; the 8 hex digits at the end of its name are the start of its
    SHA-256 (torch.hub's convention). load: loads a checkpoint, a path or its content, into a network; None: as
    `cornet.models.loading.load_state`. paper: source of the network. fixed: its areas have no trained weights, so that
    it can be compared with brains without a checkpoint. inputs: what it is shown, such as "images".
    """

    name: str
    make: Callable[..., Any]
    accepts: tuple[str, ...]
    summary: str
    top1: float | None
    top1_note: str
    weights: str
    load: Callable[..., Any] | None
    paper: str
    fixed: bool = False
    inputs: str = "images"

    @property
    def file(self) -> str:
        """Name of the published checkpoint."""
        return self.weights.rpartition("/")[2]


REGISTERED: dict[str, Registered] = {}
"""The networks whose module has been imported."""


def register(
    name: str,
    *,
    inputs: str = "images",
    summary: str = "",
    top1: float | None = None,
    top1_note: str = "",
    weights: str = "",
    load: Callable[..., Any] | None = None,
    paper: str = "",
    accepts: Callable[..., Any] | None = None,
    fixed: bool = False,
) -> Callable[[Make], Make]:
    """Decorate a `cornet.models.Network`, or a function that builds one, to give it a name for `create_model`.

    inputs: must come right after the name if it is given, because it is found in the source. accepts: the class or
    function whose arguments it takes; default: the decorated one. Others: as in `Registered`.
    Raises CornetError for a name of other characters than letters, digits and _, and for one that is taken.
    """

    def decorate(make: Make) -> Make:
        if not re.fullmatch(r"\w+", name, re.ASCII):
            raise CornetError(
                f"the model name {name!r} must consist of letters, digits and _; choose another."
            )
        place = f"{make.__module__}.{make.__qualname__}"
        known = REGISTERED.get(name)
        taken = f"{known.make.__module__}.{known.make.__qualname__}" if known else place
        if known is None and found_modules().get(name, make.__module__) != make.__module__:
            taken = found_modules()[name]
        if taken != place:  # the same definition may run again, as in a notebook
            raise CornetError(f"the model name {name!r} of {place} is taken by {taken}; choose another.")
        arguments = tuple(inspect.signature(accepts or make).parameters)
        published = top1, top1_note, weights, load, paper
        REGISTERED[name] = Registered(name, make, arguments, summary, *published, fixed, inputs)
        return make

    return decorate


def list_models(other_inputs: bool = False) -> list[str]:
    """Names of networks for images that `create_model` accepts. other_inputs: also those for sounds, odours, ..."""
    names = {*REGISTERED, *found_modules()}
    if not other_inputs:
        names -= found_others() | {name for name, one in REGISTERED.items() if one.inputs != "images"}
    return sorted(names)


def registered(name: str) -> Registered:
    """Look up a network, and import its module if necessary. Raises CornetError for an unknown name."""
    if name not in REGISTERED:
        if name not in found_modules():
            raise CornetError(f"model {name!r} is unknown; choose one of {', '.join(list_models(True))}.")
        importlib.import_module(found_modules()[name])
    return REGISTERED[name]


def name_of_class(kind: type) -> str | None:
    """The name under which a class is registered; None if it is not, or its module was not imported."""
    return next((name for name, entry in REGISTERED.items() if entry.make is kind), None)


@functools.cache
def found_modules() -> dict[str, str]:
    """{name: module} of all networks that files below cornet/models register, read from their source.

    The package is not named, because `cornet export` copies this file into packages of other names.
    """
    folder = Path(__file__).parent
    return {
        name: ".".join((str(__package__), *path.relative_to(folder).with_suffix("").parts))
        for path, name, _ in registrations(folder)
    }


def found_others() -> set[str]:
    """The names in `found_modules` of networks for inputs that are not images."""
    return {name for _, name, inputs in registrations(Path(__file__).parent) if inputs}


@functools.cache
def registrations(folder: Path) -> list[tuple[Path, str, str]]:
    """File, name and whether other inputs are stated ("" if not) of each network that files below a folder register."""
    return [
        (path, *found)
        for path in sorted(folder.rglob("*.py"))
        for found in _REGISTERS.findall(path.read_text(encoding="utf-8"))
    ]

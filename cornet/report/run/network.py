"""Describe the network of a run from its recorded configuration."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cornet.errors import CornetError
from cornet.models.registry import NO_ARGUMENTS
from cornet.report.run.data import is_int

if TYPE_CHECKING:
    from cornet.models import ModelSummary

__all__ = ["describe_run", "named_network"]


def describe_run(source: Path, model: Any, classes: Any, size: Any = None) -> "ModelSummary":
    """Return parameters, multiply-adds and depth of the network that a configuration names.

    source: the configuration's file. model: its part `model`. classes: from the run's summary, used if the network
    takes the number from the images (1,000 if unknown). size: of the images (224 if unknown). Raises CornetError if
    the configuration, which is untrusted, does not name a network that can be built.
    """
    from cornet.models import describe

    name, arguments = named_network(source, model, classes)
    try:
        return describe(name, size if is_int(size) else 224, **arguments)
    except (TypeError, ValueError, RuntimeError) as error:
        raise CornetError(f"{source.name} names a network that cannot be built: {error}") from error


def named_network(source: Path, model: Any, classes: Any) -> tuple[str, dict[str, Any]]:
    """Return the name and the arguments of the network that a configuration names, for `create_model`.

    source, model, classes: as for `describe_run`. Raises CornetError for arguments that cornet never writes.
    """
    from cornet.models.untrusted import check_plain_arguments  # imported here because it imports torch

    arguments = {str(key): value for key, value in model.items()} if isinstance(model, Mapping) else {}
    name = arguments.pop("name", None)
    if not isinstance(name, str):
        raise CornetError(f"{source.name} does not name a network.")
    for key in NO_ARGUMENTS:
        arguments.pop(key, None)
    if arguments.get("num_classes") in ("auto", None):
        arguments["num_classes"] = classes if is_int(classes) else 1000
    check_plain_arguments(source, arguments)
    return name, arguments

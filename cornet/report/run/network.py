"""What the network of a run is, by the configuration in the run's folder."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cornet.errors import CornetError
from cornet.report.run.data import is_int

if TYPE_CHECKING:
    from cornet.models import ModelSummary

__all__ = ["describe_run"]

OF_WEIGHTS = ("pretrained", "weights_url", "accept_hash")


def describe_run(source: Path, model: Any, classes: Any, size: Any = None) -> "ModelSummary":
    """Parameters, multiply-adds and depth of the network that a configuration names.

    source: the file that it is from. model: its part of that name. classes: of the run's summary, for a network that
    takes their number from the images (1,000 where that is not known). size: of images (224). Raises CornetError for
    what is no network: a stranger's configuration may say anything.
    """
    from cornet.models import describe
    from cornet.runs.checkpoints import check_plain_arguments  # here, as they import torch

    given = {str(key): value for key, value in model.items()} if isinstance(model, Mapping) else {}
    name = given.pop("name", None)
    if not isinstance(name, str):
        raise CornetError(f"{source.name} names no network.")
    for key in OF_WEIGHTS:
        given.pop(key, None)
    if given.get("num_classes") in ("auto", None):
        given["num_classes"] = classes if is_int(classes) else 1000
    check_plain_arguments(source, given)
    try:
        return describe(name, size if is_int(size) else 224, **given)
    except (TypeError, ValueError, RuntimeError) as error:
        raise CornetError(f"{source.name} names no network that can be built: {error}") from error

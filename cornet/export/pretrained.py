"""Save a network from Python in the folder that `cornet export --to safetensors` writes."""

import os
from collections.abc import Sequence
from pathlib import Path

from cornet.errors import CornetError
from cornet.export.formats import find_format
from cornet.export.source import Source
from cornet.export.write import write_export
from cornet.models.base import Network
from cornet.models.image_settings import ImageSettings

__all__ = ["save_pretrained"]


def save_pretrained(
    net: Network,
    folder: str | os.PathLike[str],
    *,
    size: int | None = None,
    mean: Sequence[float] | None = None,
    std: Sequence[float] | None = None,
    degrees: float | None = None,
    classes: Sequence[str] | None = None,
    name: str = "",
    licence: str = "unknown",
) -> Path:
    """Write a network into a new folder, from which `cornet.from_pretrained` loads it; return the folder.

    net: made by `cornet.create_model`, in any dtype and on any device; it does not change.
    size: pixels per side of its images. mean, std: per channel, of images scaled to 0..1. degrees: of visual angle per
        side. classes: names in the order of the logits. Defaults: those of `net.image_settings`, else 224, ImageNet's,
        8 and none.
    name: title of the model card; default: the model and a hash of its weights. licence: of the weights, an identifier
        as the Hugging Face hub has it, such as mit.

    Raises CornetError for a network that create_model did not make or that was changed since, for impossible values,
    and if the folder exists and is not empty, or cannot be written.
    """
    if not isinstance(net, Network) or net.made_with is None:
        raise CornetError(
            f"{type(net).__name__} was not made by cornet.create_model, so it could not be built again; save its "
            "state_dict, or register its class and make it by name."
        )
    known = net.image_settings or ImageSettings()
    images = ImageSettings(
        known.size if size is None else size,
        known.mean if mean is None else _numbers("mean", mean),
        known.std if std is None else _numbers("std", std),
        known.degrees if degrees is None else degrees,
        known.classes if classes is None else tuple(classes),
    )
    if problem := images.problem():
        raise CornetError(f"the images have {problem}; give the size, mean and std of the network's images.")
    source = Source("", net, images.size, images.mean, images.std, images.degrees, list(images.classes))
    path = Path(folder).expanduser()
    write_export(find_format("safetensors"), [source], path, name or source.identifier, {"licence": licence})
    return path


def _numbers(word: str, values: Sequence[float]) -> tuple[float, ...]:
    try:
        return tuple(map(float, values))
    except (TypeError, ValueError):
        raise CornetError(f"{word}={values!r} must be one number per channel; give three for RGB.") from None

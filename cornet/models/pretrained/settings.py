"""config.json of a folder of pretrained weights: how the network is built, and which images it takes."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cornet.errors import CornetError
from cornet.models.image_settings import ImageSettings
from cornet.opening import open_regular

__all__ = ["CONFIG", "FORMAT", "MAX_CONFIG_BYTES", "PretrainedConfig", "read_config_file"]

CONFIG = "config.json"
FORMAT = 1
"""Version of the folder's format. It increases when an older cornet could no longer read a folder correctly."""
MAX_CONFIG_BYTES = 2**22
"""Maximum size of config.json; one with 21,841 class names has 0.7 MB."""


@dataclass(frozen=True)
class PretrainedConfig:
    """The content of config.json.

    name, arguments: of `cornet.create_model`. decoder: whether the network has its decoder; a network trained on a task
    with heads of its own has none. weights: SHA-256 of the weights (`cornet.models.pretrained.folder.weights_hash`).
    """

    name: str
    arguments: Mapping[str, Any]
    images: ImageSettings
    weights: str
    decoder: bool = True

    def to_json(self, version: str) -> str:
        """The text of the file. version: of cornet."""
        images = self.images
        content = {
            "library": "cornet",
            "format": FORMAT,
            "cornet_version": version,
            "model": {"name": self.name, **plain(self.arguments)},
            "decoder": self.decoder,
            "images": {
                "size": images.size,
                "mean": list(images.mean),
                "std": list(images.std),
                "degrees": images.degrees,
            },
            "classes": list(images.classes),
            "weights_sha256": self.weights,
        }
        return json.dumps(content, indent=1, allow_nan=False) + "\n"


def plain(value: Any) -> Any:
    """A value of create_model's arguments as JSON has it: mappings, sequences, and numbers of NumPy become plain."""
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, str | bool | int | float | None):
        return value
    if hasattr(value, "tolist"):  # a number or an array of NumPy
        return plain(value.tolist())
    if hasattr(value, "__iter__"):
        return [plain(item) for item in value]
    raise CornetError(
        f"an argument of the network is {type(value).__name__}, which config.json cannot hold; build the network with "
        "numbers and texts."
    )


def read_config_file(path: Path) -> PretrainedConfig:
    """Read and check config.json.

    Raises CornetError if it is missing, damaged, too large, of a newer format, or not of cornet. Whether the network
    exists and takes the arguments is checked when it is built.
    """
    try:
        with open_regular(path) as file:
            data = file.read(MAX_CONFIG_BYTES + 1)
        if len(data) > MAX_CONFIG_BYTES:
            raise ValueError(f"it has more than {MAX_CONFIG_BYTES:,} bytes")
        content = json.loads(data)
    except (OSError, ValueError, RecursionError) as error:
        reason = " ".join(str(getattr(error, "strerror", None) or error).split())[:120]
        raise CornetError(f"{path} cannot be read ({reason}); use another copy.") from None
    if not isinstance(content, dict) or content.get("library") != "cornet" or "format" not in content:
        raise CornetError(
            f"{path} was not written by cornet; give a folder or a repository that "
            "cornet export RUN --to safetensors wrote."
        )
    found = content["format"]
    if type(found) is not int or found < 1:
        raise CornetError(f"{path} has format={found!r}, which must be a whole number; use another copy.")
    if found > FORMAT:
        import cornet

        raise CornetError(
            f"{path} has format {found}, but cornet {cornet.__version__} reads formats up to {FORMAT}; install a newer "
            "version of cornet."
        )
    return _checked(path, content)


def _checked(path: Path, content: Mapping[str, Any]) -> PretrainedConfig:
    model, images, weights = content.get("model"), content.get("images"), content.get("weights_sha256")
    decoder = content.get("decoder", True)
    problem = ""
    if not isinstance(model, dict) or not isinstance(model.get("name"), str):
        problem = "no network under model"
    elif not isinstance(images, dict):
        problem = "no object under images"
    elif type(decoder) is not bool:
        problem = f"decoder={decoder!r}, which must be true or false"
    elif not isinstance(weights, str) or not re.fullmatch("[0-9a-f]{64}", weights):
        problem = f"weights_sha256={weights!r}, which must be 64 hexadecimal digits"
    if problem:
        raise CornetError(f"{path} has {problem}; use another copy.")
    assert isinstance(model, dict)
    assert isinstance(images, dict)
    values = {key: images[key] for key in ("size", "mean", "std", "degrees") if key in images}
    values["classes"] = content.get("classes", [])
    listed: dict[str, Any] = {
        key: tuple(value) if isinstance(value, list) else value for key, value in values.items()
    }
    settings = ImageSettings(**listed)
    if problem := settings.problem():
        raise CornetError(f"{path} has {problem[:300]}; use another copy.")
    arguments = {key: value for key, value in model.items() if key != "name"}
    return PretrainedConfig(model["name"], arguments, settings, str(weights), decoder)

"""Weights, configuration and model card in one folder, which `cornet.from_pretrained` and the Hugging Face hub read."""

from collections.abc import Sequence
from pathlib import Path

from cornet.export.model_card.card import CARD, write_card
from cornet.export.push import push_folder
from cornet.export.source import Source
from cornet.models.image_settings import ImageSettings
from cornet.models.pretrained.settings import CONFIG
from cornet.models.pretrained.weights_folder import WEIGHTS, write_weights_folder

__all__ = ["OPTIONS", "SEVERAL", "SUMMARY", "push", "write"]

SUMMARY = "weights and a model card, for cornet.from_pretrained and the Hugging Face hub"
SEVERAL = False
OPTIONS = ("licence", "repository")


def write(
    sources: Sequence[Source], folder: Path, name: str, licence: str | None = None, repository: str = ""
) -> list[str]:
    """Write model.safetensors, config.json and README.md into an empty folder.

    licence: of the weights, as the hub names it; None: see `cornet.export.model_card.card.default_licence`. repository:
    where it will be pushed, for the card. Raises CornetError for a network that could not be built again.
    """
    (source,) = sources
    images = ImageSettings(source.size, source.mean, source.std, source.degrees, tuple(source.classes))
    write_weights_folder(source.net, images, folder)
    write_card(source, folder, name, licence, repository)
    size = (folder / WEIGHTS).stat().st_size
    return [
        f"{WEIGHTS}: {size / 1e6:,.1f} MB; {CONFIG}; {CARD}: read it before you pass the folder on.",
        "Load it with cornet.from_pretrained(FOLDER), or score it with cornet score FOLDER --on BENCHMARK.",
    ]


def push(folder: Path, repository: str, private: bool) -> list[str]:
    """Upload what `write` wrote; see `cornet.export.push.push_folder`."""
    return [f"Pushed to {push_folder(folder, repository, (WEIGHTS, CONFIG, CARD), private)}"]

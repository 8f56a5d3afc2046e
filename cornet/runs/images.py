"""The images and classes that a run was trained on, from its recorded configuration."""

from collections.abc import Mapping
from importlib import import_module
from pathlib import Path

from cornet.errors import CornetError
from cornet.runs.checkpoints import find_run
from cornet.runs.config import entries, is_provided, read_config
from cornet.stimuli.samples import ImageSource

__all__ = ["classes_of_model", "run_of_model", "source_of_run"]


def run_of_model(text: str) -> Path | None:
    """The run's folder that the text of a model names (a folder, or a checkpoint in it); None for other models."""
    path = Path(text.partition("?")[0]).expanduser()
    if path.is_file() and path.parent.name == "checkpoints":
        return path.parent.parent
    return find_run(path) if path.is_dir() else None


def source_of_run(folder: Path) -> ImageSource | None:
    """Open the images that a run was trained on; None where they cannot be reached.

    The configuration may come from others: only sources of cornet are built, without addresses that would be
    contacted, and with the user's own cache.
    """
    try:
        data = read_config(folder / "config.yaml").get("data")
        if not isinstance(data, Mapping) or not is_provided("data", data.get("_target_")):
            return None
        settings = {key: value for key, value in data.items() if key not in ("_target_", "cache")}
        for key, value in entries(settings):
            if "_target_" in key or "://" in str(value) or "${" in f"{key}{value}":
                return None
        module, _, name = str(data["_target_"]).rpartition(".")
        source = getattr(import_module(module), name)(**settings)
    except (CornetError, OSError, TypeError, ValueError):  # moved images, settings of another version
        return None
    return source if isinstance(source, ImageSource) else None


def classes_of_model(text: str) -> list[str]:
    """The classes of the run that the text of a model names; none for other models, and where they are unknown."""
    run = run_of_model(text)
    source = None if run is None else source_of_run(run)
    return [] if source is None else list(source.classes)

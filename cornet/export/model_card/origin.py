"""Where the weights of an exported network come from, and what that says about their licence."""

import re
from dataclasses import dataclass
from pathlib import Path

from cornet.errors import CornetError
from cornet.export.source import Source
from cornet.models.pretrained.weights_folder import is_weights_folder
from cornet.models.registry import registered
from cornet.runs.checkpoints import KINDS, checkpoint_path

__all__ = ["Origin", "check_licence", "origin_of"]

_LICENCE = re.compile(r"[a-z0-9][a-z0-9.+-]{0,60}")


@dataclass(frozen=True)
class Origin:
    """Where weights come from.

    kind: "run" (of train.py), "untrained", "published" (by the network's authors), "folder" (exported before), "file",
    or "unknown". text: one sentence. checkpoint: the file, of a run.
    """

    kind: str
    text: str
    checkpoint: Path | None = None


def origin_of(source: Source) -> Origin:
    """The origin of a network, from the text that the user named it by. Paths of this machine are not stated."""
    name, _, rest = source.text.partition("?")
    options = rest.split("&") if rest else []
    seed = next((word.removeprefix("seed=") for word in options if word.startswith("seed=")), "0")
    if "untrained" in options:
        return Origin("untrained", f"Untrained: weights drawn with seed {seed}.")
    if source.run is not None:
        path = Path(name).expanduser()
        if not path.is_file():  # as `open_subject` chooses it
            path = checkpoint_path(source.run.path, next((one for one in KINDS if one in options), None))
        return Origin("run", "Trained by the run that is described here.", path)
    if source.text and is_weights_folder(Path(name).expanduser()):
        return Origin("folder", "Read from a folder that was exported before; its README.md may say more.")
    if source.text and name == source.model:
        file = next((word.removeprefix("weights=") for word in options if word.startswith("weights=")), "")
        if file:
            return Origin("file", f"Read from the file {Path(file).name}; how it was made is not known here.")
        entry = registered(name)
        if entry.fixed:
            return Origin(
                "untrained", f"Not trained: its areas are fixed; the decoder is drawn with seed {seed}."
            )
        return Origin(
            "published", f"Published by the authors of the network ({entry.file}); not trained here."
        )
    if source.text and Path(name).expanduser().is_file():
        return Origin("file", f"Read from the file {Path(name).name}; how it was made is not known here.")
    return Origin("unknown", "Given by a program; how they were made is not known here.")


def check_licence(licence: str) -> str:
    """Return an identifier of a licence. Raises CornetError for other texts."""
    if not _LICENCE.fullmatch(licence):
        raise CornetError(
            f"--licence {licence} must be an identifier in lower case, such as mit, apache-2.0, cc-by-4.0 or other."
        )
    return licence

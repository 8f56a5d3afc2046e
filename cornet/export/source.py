"""What is exported: a network, the images that it takes, and the run that it comes from."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from cornet.brain.subjects.networks import NetworkSubject
from cornet.brain.subjects.open import open_subject
from cornet.errors import CornetError
from cornet.models.base import Network
from cornet.models.pretrained.weights_folder import weights_hash
from cornet.runs.folder import RunFolder
from cornet.runs.images import classes_of_model, run_of_model

__all__ = ["Source", "open_sources"]


@dataclass(frozen=True)
class Source:
    """A network to export.

    text: as the user named it. net: on the CPU, in float32, in evaluation mode. size: pixels per side of its images.
    mean, std: per channel, of images scaled to 0..1. degrees: of visual angle per side. classes: names, or [] where
    they are unknown. run: the folder of the run that trained it, or None.
    """

    text: str
    net: Network
    size: int
    mean: tuple[float, ...]
    std: tuple[float, ...]
    degrees: float = 8.0
    classes: list[str] = field(default_factory=list)
    run: RunFolder | None = None

    @property
    def model(self) -> str:
        """The name that `cornet.create_model` knows."""
        return str(self.made_with["name"])

    @property
    def made_with(self) -> dict[str, Any]:
        """`name` and the other arguments of `cornet.create_model` that build the network."""
        assert self.net.made_with is not None  # `open_sources` refuses others
        return self.net.made_with

    @cached_property
    def weights_hash(self) -> str:
        """SHA-256 of all weights and buffers, with their names."""
        return weights_hash(self.net.state_dict())

    @property
    def identifier(self) -> str:
        """A name of letters, digits, _ and - that is different for other weights, such as cornet_s-1f3a9c02."""
        return f"{self.model}-{self.weights_hash[:8]}"


def open_sources(
    texts: Sequence[str], size: int | None = None, all_checkpoints: bool = False, trust: bool = False
) -> list[Source]:
    """Open the networks that `cornet export` names, as `cornet.brain.open_subject` does.

    all_checkpoints: the texts name runs, and every checkpoint of each is opened, but the same weights only once.
    trust: allow importing a custom network that a run names.

    Raises CornetError for what is not a network of `cornet.create_model`, and for two with the same weights.
    """
    if all_checkpoints:
        every = (_open(path, size, trust) for text in texts for path in checkpoints_of(text))
        distinct: dict[str, Source] = {}
        for source in every:
            distinct.setdefault(source.identifier, source)
        return list(distinct.values())
    found = [_open(text, size, trust) for text in texts]
    by_weights: dict[str, str] = {}
    for one in found:
        if (other := by_weights.setdefault(one.identifier, one.text)) != one.text:
            raise CornetError(f"{other} and {one.text} are the same network; name each once.")
    return found


def checkpoints_of(text: str) -> list[str]:
    """The checkpoints of a run: those of its epochs in order, and then the others.

    Raises CornetError if the text names something else, or the run has none.
    """
    run = run_of_model(text)
    if run is None or "?" in text or Path(text).expanduser().is_file():
        raise CornetError(f"--all-checkpoints takes runs, and {text} is not a run's folder; name that.")
    files = [path for path in sorted((run / "checkpoints").glob("*.ckpt")) if path.stem != "previous"]
    if not files:
        raise CornetError(f"{text} has no checkpoints yet; let the run finish an epoch.")
    return [str(path) for path in sorted(files, key=lambda path: not path.stem.startswith("epoch_"))]


def _open(text: str, size: int | None, trust: bool) -> Source:
    subject = open_subject(text, size=size, trust=trust)
    if not isinstance(subject, NetworkSubject) or subject.net.made_with is None:
        raise CornetError(
            f"{text} is not a network with a name (`cornet models`, or a class of your own with @register), "
            "and only these can be exported; register its class, or export it with the library that it comes from."
        )
    if subject.times is not None:
        raise CornetError(f"{text} sets steps, which an export cannot keep; name the network without them.")
    run = run_of_model(text)
    images = subject.net.image_settings
    classes = list(images.classes) if images else []
    return Source(
        text,
        subject.net.float().cpu().eval(),
        subject.size,
        tuple(float(x) for x in subject.mean),
        tuple(float(x) for x in subject.std),
        subject.degrees,
        classes or classes_of_model(text),
        None if run is None else RunFolder(run),
    )

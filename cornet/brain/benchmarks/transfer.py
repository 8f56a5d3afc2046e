"""Transfer as a benchmark: a read-out of frozen features on labelled images of the user's own."""

import os
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cornet.brain.benchmarks.base import Benchmark
from cornet.brain.data.labelled_images import LabelledImages, labelled_images
from cornet.brain.metrics.transfer import STRENGTHS, few_shot, transfer
from cornet.brain.score import Score
from cornet.brain.subjects.base import to_site
from cornet.brain.subjects.subject import Recording, Site, Subject
from cornet.errors import CornetError
from cornet.files import cache_folder
from cornet.names import escaped

__all__ = ["PREFIX", "TransferBenchmark", "transfer_folder", "transfer_identity"]

PREFIX = "transfer:"
"""Start of the text that names a transfer benchmark, such as transfer:/data/birds."""

REGION = "transfer"
"""In place of a region."""

DATA_SETS = {"cifar10": "cifar-10-batches-py", "cifar100": "cifar-100-python"}
"""The folder of each named data set."""


class TransferBenchmark(Benchmark[LabelledImages]):
    """Top-1 accuracy on the test images of a read-out that is fitted on the training images; see `transfer`.

    folder: see `cornet.brain.data.labelled_images.labelled_images`; or "cifar10" or "cifar100", which are sought below
    `cornet.files.cache_folder()`/data. layer: layer of the subject, as text; None: its read-out site (in cornet's
    networks the features below the decoder). region: in place of layer, a region of the subject, such as IT. shots:
    numbers of training images per class for `few_shot`, whose results are in the details of the score. strengths:
    candidates for the weight C of the cross-entropy. seed: of the held-out part and of the few-shot images. The images
    fill the screen of the subject.
    """

    def __init__(
        self,
        folder: str | os.PathLike[str],
        *,
        layer: str | Site | None = None,
        region: str | None = None,
        shots: tuple[int, ...] = (),
        seeds: int = 10,
        strengths: tuple[float, ...] = STRENGTHS,
        seed: int = 0,
        classes: tuple[str, ...] = (),
        **options: Any,
    ) -> None:
        root = transfer_folder(folder)
        super().__init__(
            transfer_name(folder),
            REGION,
            f"labelled images of {root.name}: read-out of frozen features",
            lambda: labelled_images(root, classes, str(folder) if folder in DATA_SETS else None),
            scale="raw",
            degrees=None,
            split_rule="training and test images as given; C is chosen on 20 % of the training images",
            **options,
        )
        if layer is not None and region is not None:
            raise CornetError(
                f"layer={layer} and region={region} cannot be given together; leave one of them out."
            )
        self.layer = to_site(layer) if isinstance(layer, str) else layer
        self.read_region = region
        self.shots, self.seeds, self.strengths, self.seed = tuple(shots), seeds, tuple(strengths), seed

    def fingerprint_parts(self) -> list[Any]:
        parts: list[Any] = [self.data.labels, self.data.rows("train"), self.data.rows("test")]
        return [*parts, np.array(self.strengths), self.seed, self.shots, self.seeds if self.shots else 0]

    def sites(self, subject: Subject) -> list[Site]:
        if self.read_region is not None:
            return [subject.site(self.read_region)]
        return [subject.readout_site() if self.layer is None else self.layer]

    def exclusions(self) -> list[str]:
        return []

    def score(self, recording: Recording, subject: Subject) -> Score:
        (site,) = self.sites(subject)
        features: NDArray[Any] = recording[site]
        labels, train, test = self.data.labels, self.data.rows("train"), self.data.rows("test")
        options: Any = {"strengths": self.strengths, "seed": self.seed, "device": self.device}
        score = transfer(features, labels, train, test, **options)
        score.details["classes"] = len(np.unique(labels))  # type: ignore[index]
        if self.shots:
            found = few_shot(features, labels, train, test, self.shots, seeds=self.seeds, **options)
            score.details["few_shot"] = found  # type: ignore[index]
        return score


def transfer_folder(text: str | os.PathLike[str]) -> Path:
    """The folder of the images. Raises CornetError if there is none."""
    if text in DATA_SETS:
        root = cache_folder() / "data"
        inside = DATA_SETS[str(text)]
        if not (root / inside).is_dir():
            raise CornetError(
                f"{text} needs the folder {root / inside}; unpack its archive there, or give the folder that has "
                f"{inside}."
            )
        return root
    root = Path(text).expanduser()
    if not root.is_dir():
        raise CornetError(
            f"there is no folder {root}; give one with train/<class>/ and val/<class>/, or with the files of CIFAR, or "
            f"{' or '.join(DATA_SETS)}."
        )
    return root


def transfer_name(text: str | os.PathLike[str]) -> str:
    """Name of the benchmark of a folder, such as birds-transfer."""
    return f"{text if text in DATA_SETS else escaped(Path(os.path.realpath(Path(text).expanduser())).name)}-transfer"


def transfer_identity(text: str) -> str | None:
    """Name and hash of the images, in place of their path; None if they cannot be read."""
    try:
        images = labelled_images(transfer_folder(text), (), text if text in DATA_SETS else None)
    except (OSError, CornetError):  # opening the benchmark reports it
        return None
    return f"{transfer_name(text)}-{images.stimuli.identity[:16]}"

"""Fingerprint of a set of training images, which changes with the images."""

import hashlib
from collections.abc import Sequence
from typing import Any

import numpy as np

from cornet.stimuli.datasets.class_folders import ClassFolder
from cornet.stimuli.datasets.shards import ShardFiles
from cornet.stimuli.decode import BadImage
from cornet.stimuli.samples import ImageDataset, ImageSource, InMemory, Key

__all__ = ["fingerprint", "map_fingerprint"]

READ = 256
"""Number of files to read per split; reading all of ImageNet would take longer than an epoch."""

DIGITS = 16


def fingerprint(source: ImageSource) -> str:
    """Sixteen hexadecimal digits of the SHA-256 of a source's classes and both splits.

    In-memory splits are hashed by all pixels and labels, shards by their description, folders by all names and the
    content of READ evenly spaced files, other splits by READ samples of epoch 0 (only these include augmentation). In
    folders, a file replaced under the same name may go unnoticed.
    """
    digest = hashlib.sha256("\n".join(source.classes).encode())
    for split in (source.train(), source.val()):
        digest.update(f"\0{len(split)}\0".encode())
        for part in _content(split):
            digest.update(part)
    return digest.hexdigest()[:DIGITS]


def map_fingerprint(source: Any) -> str:
    """Sixteen hexadecimal digits of the SHA-256 of what a source's method `map_content` gives."""
    return hashlib.sha256(b"\0".join(source.map_content())).hexdigest()[:DIGITS]


def _content(split: ImageDataset) -> Sequence[Any]:
    files = getattr(split, "files", None)
    if isinstance(split, InMemory):
        labels = np.asarray(getattr(split, "labels", ()), np.int64)
        return [np.ascontiguousarray(split.images), labels]
    if isinstance(files, ClassFolder):
        return [files.listing(), *(_hash_file(files, index) for index in _evenly_spaced(len(files)))]
    if isinstance(files, ShardFiles):
        return [files.digest.encode()]
    return [_hash_sample(split, index) for index in _evenly_spaced(len(split))]


def _hash_file(files: ClassFolder, index: int) -> bytes:
    try:
        return hashlib.sha256(files.read(index)).digest()
    except BadImage:
        return b"cannot be read"


def _hash_sample(split: ImageDataset, index: int) -> bytes:
    sample = split[Key(index, 0)]
    return hashlib.sha256(sample.image.numpy().tobytes() + bytes(str(sample.label), "ascii")).digest()


def _evenly_spaced(count: int) -> list[int]:
    """At most READ evenly spaced positions, including the first and the last."""
    return np.unique(np.linspace(0, max(count - 1, 0), min(count, READ)).astype(np.int64)).tolist()

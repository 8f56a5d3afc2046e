"""Made-up files of CIFAR's layout."""

import hashlib
import pickle
from pathlib import Path

import numpy as np
import pytest
from torchvision.datasets import CIFAR10, CIFAR100

from cornet.stimuli.datasets import cifar

PER_FILE = 40


class PublishedPickler(pickle._Pickler):
    """Writes arrays as the published files have them: dtypes with numbers for flags, from Python 2's numpy."""

    def reducer_override(self, what: object) -> object:
        if isinstance(what, np.dtype):
            return np.dtype, (what.str[1:], 0, 1), (3, "|", None, None, None, -1, -1, 0)
        return NotImplemented


def write(path: Path, content: dict[str, object]) -> str:
    """Write a pickle; its MD5 sum."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        PublishedPickler(file, protocol=2).dump(content)
    return hashlib.md5(path.read_bytes()).hexdigest()


def make(monkeypatch: pytest.MonkeyPatch, root: Path, name: str) -> dict[str, tuple[np.ndarray, list[int]]]:
    """Files of a data set's layout, and their sums in a subclass of torchvision's reader; what is in them."""
    theirs: type[CIFAR10] = {"cifar10": CIFAR10, "cifar100": CIFAR100}[name]
    classes = {"cifar10": 10, "cifar100": 100}[name]
    rng, contents, lists = np.random.default_rng(0), {}, {}
    for split, files in (("train_list", theirs.train_list), ("test_list", theirs.test_list)):
        data = rng.integers(0, 256, (len(files), PER_FILE, 3072), dtype=np.uint8)
        labels = rng.integers(0, classes, (len(files), PER_FILE)).tolist()
        key = "labels" if name == "cifar10" else "fine_labels"
        lists[split] = [
            [file, write(root / theirs.base_folder / file, {"data": data[i], key: labels[i]})]
            for i, (file, _) in enumerate(files)
        ]
        contents[split] = data.reshape(-1, 3, 32, 32), np.concatenate(labels).tolist()
    names = [f"class{i}" for i in range(classes)]
    meta = dict(theirs.meta)
    meta["md5"] = write(root / theirs.base_folder / meta["filename"], {meta["key"]: names})
    monkeypatch.setitem(cifar.READERS, name, type("MadeUp", (theirs,), {**lists, "meta": meta}))
    return contents

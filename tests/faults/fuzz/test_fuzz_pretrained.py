"""Malformed folders of pretrained weights: nothing of them is run, and what cannot be loaded is refused well."""

import json
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import strategies as st

from cornet import create_model, from_pretrained, save_pretrained
from cornet.brain.subjects import open_subject
from tests.helpers.faults.malformed import EFFORT, damaged, fuzz, odd_json, odd_tree
from tests.helpers.faults.watched import Watched

FILES = ("config.json", "model.safetensors")


@pytest.fixture(scope="module")
def watched():
    found = Watched()
    yield found
    found.stop()


@cache
def whole(name: str) -> dict[str, bytes]:
    """The files of a small network."""
    import tempfile

    net = create_model(
        name, num_classes=3, **({"size": 32, "per_size": 3} if name == "hmax" else {"width": 0.02})
    )
    with tempfile.TemporaryDirectory() as place:
        folder = save_pretrained(net, Path(place) / "x", size=32, classes=["a", "b", "c"])
        return {file: (folder / file).read_bytes() for file in FILES}


@st.composite
def odd_folders(draw: Any, name: str) -> dict[str, bytes]:
    """config.json or the header of the weights mutated, bytes damaged, a file gone or in another's place."""
    files = dict(whole(name))
    kind = draw(
        st.sampled_from(("config", "config", "config", "header", "header", "weights", "gone", "swapped"))
    )
    if kind == "config":
        files["config.json"] = draw(odd_json(json.loads(files["config.json"])))
    elif kind == "weights":
        files["model.safetensors"] = draw(damaged(files["model.safetensors"]))
    elif kind == "header":
        data = files["model.safetensors"]
        length = int.from_bytes(data[:8], "little")
        tree = draw(odd_tree(json.loads(data[8 : 8 + length])))
        try:
            text = json.dumps(tree).encode()
        except RecursionError:
            text = b"[" * 100_000
        files["model.safetensors"] = len(text).to_bytes(8, "little") + text + data[8 + length :]
    elif kind == "gone":
        del files[draw(st.sampled_from(FILES))]
    else:
        files = dict(zip(FILES, reversed(files.values()), strict=True))
    return files


def put(files: dict[str, bytes], folder: Path) -> None:
    for name, content in files.items():
        (folder / name).write_bytes(content)


def load(folder: Path) -> None:
    from_pretrained(folder)


def load_as_subject(folder: Path) -> None:
    open_subject(str(folder))


@EFFORT
@pytest.mark.parametrize("name", ["cornet_s", "hmax"])
def test_folders(watched, tmp_path, name, effort):
    fuzz(effort, 12, odd_folders(name), watched, load, tmp_path / "mine", put)


@EFFORT
def test_folders_as_subjects(watched, tmp_path, effort):
    fuzz(effort, 6, odd_folders("cornet_rt"), watched, load_as_subject, tmp_path / "mine", put)

"""Files of torch.save, read by the pickle walker: the same tensors as PyTorch's own reader gives."""

import argparse
import collections
import datetime
import enum
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from omegaconf import OmegaConf

from cornet.models.weight_files.extraction import extract_weights
from cornet.models.weight_files.pickle_walker import Unread
from cornet.models.weight_files.plain_values import NumpyArray, unread_name
from cornet.models.weight_files.torch_file import read_torch_file
from tests.helpers.models.hostile_files import content_with, file_with, text

WAYS = {
    "zip": {},
    "old": {"_use_new_zipfile_serialization": False},
    "protocol 4": {"pickle_protocol": 4},
    "protocol 5": {"pickle_protocol": 5},
    "old, protocol 3": {"_use_new_zipfile_serialization": False, "pickle_protocol": 3},
}
SHARED = torch.arange(24.0)
TENSORS = {
    **{str(dtype): torch.arange(5).to(dtype) for dtype in (torch.float64, torch.float32, torch.float16)},
    **{str(dtype): torch.arange(5).to(dtype) for dtype in (torch.bfloat16, torch.int64, torch.int8)},
    **{str(dtype): torch.arange(5).to(dtype) for dtype in (torch.uint8, torch.bool, torch.uint16)},
    "scalar": torch.tensor(3.5),
    "empty": torch.zeros(0, 4),
    "view": SHARED[3:9].reshape(2, 3),
    "transposed": SHARED.reshape(4, 6).t(),
    "same storage": SHARED,
    "expanded": torch.ones(3, 1).expand(3, 4),
    "channels last": torch.randn(2, 3, 4, 5).to(memory_format=torch.channels_last),
    "parameter": torch.nn.Parameter(torch.randn(3)),
}


class Color(enum.Enum):
    RED = 1


class Thing:
    """An object of the user's own."""

    def __init__(self) -> None:
        self.values = [1, 2]


def saved(value: Any, path: Path, way: str = "zip") -> Any:
    torch.save(value, path, **WAYS[way])
    return read_torch_file(path)


@pytest.mark.parametrize("way", WAYS)
def test_tensors_are_those_of_torch_load(way, tmp_path):
    # PyTorch itself does not read uint16 from its old files.
    tensors = {key: value for key, value in TENSORS.items() if "old" not in way or key != "torch.uint16"}
    found = saved({"state_dict": tensors, "thing": Thing()}, tmp_path / "x.pth", way)
    assert list(found["state_dict"]) == list(tensors)
    expected = torch.load(tmp_path / "x.pth", weights_only=False)["state_dict"]
    for key, tensor in found["state_dict"].items():
        assert tensor.dtype == expected[key].dtype, key
        assert tensor.stride() == expected[key].stride(), key
        assert torch.equal(tensor, expected[key]), key
    views = found["state_dict"]
    views["same storage"][3] = -1.0  # they still share their numbers
    assert views["view"][0, 0] == -1.0


def test_numbers_of_the_other_byte_order(tmp_path, monkeypatch):
    file_with(b"cmine\nThing\n", tmp_path / "x.pth", {"a": torch.tensor([1.0, -2.5]), "b": torch.arange(4)})
    monkeypatch.setattr("cornet.models.weight_files.torch_file.sys.byteorder", "big")
    found = read_torch_file(tmp_path / "x.pth")["state_dict"]
    assert found["a"].numpy().view(">f4").tolist() == [1.0, -2.5]
    assert found["b"].numpy().view(">i8").tolist() == [0, 1, 2, 3]


PLAIN = {
    "numbers": ([1, 2.5, -3, 2**70, True, None, 1 + 2j], [1, 2.5, -3, 2**70, True, None, 1 + 2j]),
    "bytes": (b"ab\xff", None),
    "NumPy scalar": (np.float64(0.7), 0.7),
    "NumPy integer": (np.int32(-4), -4),
    "NumPy bool": (np.bool_(True), True),
    "OrderedDict": (collections.OrderedDict(a=1, b=[2]), {"a": 1, "b": [2]}),
    "defaultdict": (collections.defaultdict(list, a=[1]), {"a": [1]}),
    "Counter": (collections.Counter("aab"), {"a": 2, "b": 1}),
    "set": ({3}, [3]),
    "frozenset": (frozenset({3}), None),
    "size": (torch.Size([2, 3]), (2, 3)),
    "device": (torch.device("cpu"), "cpu"),
    "type": (torch.float16, torch.float16),
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", PLAIN)
def test_plain_values_are_read(name, way, tmp_path):
    value, expected = PLAIN[name]
    found = saved(content_with([value], {"a": torch.ones(1)}), tmp_path / "x.pth", way)
    assert not extract_weights(found, "x").unread
    if expected is not None:
        assert found["odd"] == [expected]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(
    "array",
    [
        np.arange(6.0).reshape(2, 3),
        np.asfortranarray(np.arange(6, dtype=np.int16).reshape(2, 3)),
        np.arange(4, dtype=">f4"),
        np.array(2.5),
        np.array([True, False]),
    ],
    ids=["plain", "Fortran", "big-endian", "scalar", "bool"],
)
def test_arrays_are_read_and_become_weights(array, way, tmp_path):
    found = saved({"state_dict": {"a": array}, "thing": Thing()}, tmp_path / "x.pth", way)
    assert isinstance(found["state_dict"]["a"], NumpyArray)
    weights = extract_weights(found, "x", [{"a": torch.zeros(array.shape)}])
    assert weights.tensors["a"].tolist() == array.tolist()
    assert weights.arrays == 1


OBJECTS = {
    "argparse.Namespace": argparse.Namespace(lr=0.1),
    "pathlib": Path("x"),
    "datetime.datetime": datetime.datetime(2020, 1, 1),
    "omegaconf.dictconfig.DictConfig": OmegaConf.create({"a": {"b": [1, 2]}}),
    f"{__name__}.Thing": Thing(),
    f"{__name__}.Color": Color.RED,
    "torch.optim.sgd.SGD": torch.optim.SGD([torch.nn.Parameter(torch.ones(2))], 0.1),
    "builtins.print": print,
    "numpy.ndarray": np.array([{}], dtype=object),
    "functools.partial": __import__("functools").partial(int, "3"),
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", OBJECTS)
def test_objects_beside_the_weights_are_named(name, way, tmp_path):
    value = {"deep": [OBJECTS[name]]}
    found = saved(content_with(value, {"a": torch.ones(1)}), tmp_path / "x.pth", way)
    assert unread_name(found["odd"]["deep"][0]).startswith(name)
    assert extract_weights(found, "x").unread == {"odd": unread_name(found["odd"]["deep"][0])}
    assert torch.equal(found["state_dict"]["a"], torch.ones(1))


def test_classes_as_keys_as_old_lightning_has_them(tmp_path):
    found = saved(content_with({Thing: {"best": 0.5}}, {"a": torch.ones(1)}), tmp_path / "x.pth")
    assert extract_weights(found, "x").unread == {"odd": f"{__name__}.Thing"}


def test_unusual_tensors_are_not_read(tmp_path):
    found = saved({"state_dict": {"a": torch.eye(3).to_sparse()}}, tmp_path / "x.pth")
    assert isinstance(found["state_dict"]["a"], Unread)


def tensor_piece(offset: bytes, size: bytes, stride: bytes, count: bytes = b"K\x06") -> bytes:
    """A tensor over the storage 0, which has six numbers."""
    storage = b"(" + text("storage") + b"ctorch\nFloatStorage\n" + text("0") + text("cpu") + count + b"tQ"
    return b"ctorch._utils\n_rebuild_tensor_v2\n(" + storage + offset + size + stride + b"\x89NtR"


@pytest.mark.parametrize(
    ("piece", "fits"),
    [
        (tensor_piece(b"K\x00", b"K\x06\x85", b"K\x01\x85"), True),
        (tensor_piece(b"K\x01", b"K\x05\x85", b"K\x01\x85"), True),
        (tensor_piece(b"K\x01", b"K\x06\x85", b"K\x01\x85"), False),
        (tensor_piece(b"K\x00", b"K\x04\x85", b"K\x02\x85"), False),
        (tensor_piece(b"J\xff\xff\xff\xff", b"K\x04\x85", b"K\x01\x85"), False),
        (tensor_piece(b"K\x00", b"J\xff\xff\xff\xff\x85", b"K\x01\x85"), False),
        (tensor_piece(b"K\x00", b"K\x04\x85", b"J\xff\xff\xff\xff\x85"), False),
        (tensor_piece(b"K\x00", b"K\x02K\x03\x86", b"K\x01\x85"), False),
        (tensor_piece(b"N", b"K\x06\x85", b"K\x01\x85"), False),
        (tensor_piece(b"K\x00", b"\x88\x85", b"K\x01\x85"), False),
        (tensor_piece(b"K\x00", b"K\x06\x85", b"K\x01\x85", b"K\x07"), False),
        (tensor_piece(b"K\x00", b"(" + b"K\x01" * 65 + b"t", b"(" + b"K\x01" * 65 + b"t"), False),
    ],
)
def test_tensors_that_reach_beyond_their_storage_are_refused(piece, fits, tmp_path):
    path = file_with(piece, tmp_path / "x.pth", {"a": torch.arange(6.0)})
    if fits:
        assert read_torch_file(path)["odd"].numel() > 4
        return
    with pytest.raises(ValueError, match=r"tensor|storage"):
        read_torch_file(path)

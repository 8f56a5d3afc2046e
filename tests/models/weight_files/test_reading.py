"""Files of weights as a whole: safetensors, keys, averaged weights, and the line that says what was done."""

import argparse
import logging
import os
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from cornet.errors import CornetError
from cornet.models.weight_files import extract_weights, read_weight_file

OWN = {"weight": torch.zeros(2, 3), "bias": torch.zeros(2)}
STATE = {"weight": torch.arange(6.0).reshape(2, 3), "bias": torch.ones(2)}
AVERAGED = {key: value + 1 for key, value in STATE.items()}


def prefixed(prefix, state=STATE):
    return {prefix + key: value for key, value in state.items()}


@pytest.fixture
def path(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return "mine.pth"


def loaded(content, path, caplog, old=False, ema=False, usual=()):
    """The weights of a file, and the lines that were logged."""
    caplog.clear()
    torch.save(content, path, _use_new_zipfile_serialization=not old)
    found = extract_weights(read_weight_file(path), path, [OWN], ema=ema)
    found.report(path, usual)
    return found.tensors, [record.getMessage() for record in caplog.records]


def is_state(tensors, state=STATE):
    return list(tensors) == list(state) and all(torch.equal(tensors[key], state[key]) for key in state)


@pytest.mark.parametrize("old", [False, True])
@pytest.mark.parametrize(
    ("content", "line"),
    [
        (STATE, None),
        ({"state_dict": STATE, "epoch": 3}, None),
        ({"state_dict": prefixed("module.")}, "read state_dict, removed the prefix module."),
        (prefixed("_orig_mod."), "removed the prefix _orig_mod."),
        ({"model": STATE}, "read model"),
        ({"model_state_dict": STATE}, "read model_state_dict"),
        ({"net": STATE, "acc": 93.1}, "read net"),
        ({"weights": STATE}, "read weights"),
        ({"params": prefixed("net.")}, "read params, removed the prefix net."),
        (
            {"state_dict": prefixed("module."), "args": argparse.Namespace(lr=0.1)},
            "read state_dict, removed the prefix module.; args (argparse.Namespace) was not read",
        ),
        (
            {"state_dict": {**prefixed("model."), "criterion.weight": torch.ones(3), "criterion.name": "x"}},
            "read state_dict, removed the prefix model.; criterion.weight, criterion.name were not read",
        ),
        ({"state_dict": STATE, "best": np.float64(0.7), "history": np.arange(3)}, None),
        (
            {"state_dict": STATE, "a": print, "b": len, "c": abs, "d": [iter]},
            "read state_dict; a (builtins.print), b (builtins.len), c (builtins.abs) and 1 more were not read",
        ),
        (
            {"model": STATE, "model_ema": AVERAGED},
            "read model; averaged weights are under model_ema (choose them by ?ema or ema=True)",
        ),
        (
            {"state_dict": {key: value.numpy() for key, value in STATE.items()}},
            "read state_dict; 2 NumPy arrays became tensors",
        ),
    ],
)
def test_one_line_says_what_was_done(content, line, old, path, caplog):
    tensors, lines = loaded(content, path, caplog, old)
    assert is_state(tensors)
    assert lines == ([f"mine.pth: {line}"] if line else [])


def test_the_line_cannot_overwrite_a_terminal(path, caplog):
    content = {"state_dict": STATE, "a\x1b[2J\n": print, "b" * 10_000: print}
    _, [line] = loaded(content, path, caplog)
    assert line.isprintable()
    assert len(line) < 300


def test_usual_prefixes_need_no_line(path, caplog):
    assert loaded({"state_dict": prefixed("module.")}, path, caplog, usual=("module.",))[1] == []
    content = {"state_dict": prefixed("module."), "f": print}
    assert "removed the prefix module." in loaded(content, path, caplog, usual=("module.",))[1][0]


@pytest.mark.parametrize("key", ["state_dict_ema", "model_ema"])
def test_averaged_weights_are_taken_on_request(key, path, caplog):
    content = {"state_dict": STATE, key: {**prefixed("module.", AVERAGED), "n_averaged": torch.tensor(3)}}
    tensors, [line] = loaded(content, path, caplog, ema=True)
    assert is_state(tensors, AVERAGED)
    assert line == f"mine.pth: read {key}, removed the prefix module.; n_averaged was not read"


@pytest.mark.parametrize(
    ("content", "ema", "message"),
    [
        (
            {"state_dict": STATE},
            True,
            "holds no averaged weights (state_dict_ema or model_ema); leave out ema",
        ),
        ({"model_ema": AVERAGED}, False, "holds only averaged weights, under model_ema; choose them by ?ema"),
        ({"epoch": 3, "arch": "x"}, False, "holds no weights (it has epoch, arch)"),
        ({"state_dict": 3}, False, "holds int under state_dict, not a dict of tensors"),
        (
            {"state_dict": {**STATE, "odd": print}},
            False,
            "holds builtins.print under 'odd', which is neither",
        ),
        ({"model": nn.Linear(3, 2)}, False, "torch.save({'state_dict': d['model'].state_dict()}, new)"),
        (
            nn.Linear(3, 2),
            False,
            "holds torch.nn.modules.linear.Linear, which is neither a tensor nor plain data",
        ),
        (nn.Linear(3, 2), False, "torch.save({'state_dict': d.state_dict()}, new)"),
        ({"state_dict": nn.Linear(3, 2)}, False, "d['state_dict'].state_dict()"),
        ({"state_dict": {**STATE, "odd": np.array([{}])}}, False, "holds numpy.ndarray under 'odd'"),
        ({"state_dict": {**STATE, "odd": np.array(["a"])}}, False, "holds numpy.ndarray under 'odd'"),
        (
            {"state_dict": {**STATE, "odd": np.array([1j])}},
            False,
            "holds NumpyArray under 'odd', not a tensor",
        ),
        ([STATE, print], False, "holds list, not a dict of weights"),
        (
            {"state_dict": {**prefixed("a."), **prefixed("b.", AVERAGED)}},
            False,
            "holds more than one set of weights that fit the network equally, under 'a.' and 'b.'",
        ),
    ],
)
def test_what_is_refused_is_one_sentence(content, ema, message, path, caplog):
    with pytest.raises(CornetError) as error:
        loaded(content, path, caplog, ema=ema)
    assert str(error.value).startswith("mine.pth ")
    assert message in str(error.value)
    assert "\n" not in str(error.value)
    assert not caplog.records


@pytest.mark.parametrize("name", ["model.safetensors", "model.bin"])
def test_safetensors(name, path, caplog):
    save_file(prefixed("model.", STATE), name)
    found = extract_weights(read_weight_file(name), name, [OWN])
    assert is_state({key: found.tensors[key] for key in STATE})
    found.report(name)
    assert caplog.messages == [f"{name}: removed the prefix model."]


def test_damaged_safetensors_are_one_sentence(path):
    save_file({"a": torch.randn(100)}, "m.safetensors")
    whole = Path("m.safetensors").read_bytes()
    for content in (
        whole[:-1],
        whole[:60],
        whole[:9],
        whole[:20] + b"\xff" + whole[21:],
        whole[:8] + b"{" * 500,
    ):
        Path("m.safetensors").write_bytes(content)
        with pytest.raises(
            CornetError, match=r"^m\.safetensors is (a damaged safe|not a checkpoint)"
        ) as error:
            read_weight_file("m.safetensors")
        assert "\n" not in str(error.value)


def test_missing_files_folders_and_pipes(path, tmp_path):
    os.mkfifo("pipe")
    for name, message in (
        ("no.safetensors", "does not exist"),
        (".", "is a folder"),
        ("pipe", "regular file"),
    ):
        with pytest.raises(CornetError, match=message):
            read_weight_file(name)


@pytest.mark.parametrize("old", [False, True])
def test_a_file_with_an_object_cut_off_anywhere(old, path):
    content = {"state_dict": STATE, "args": argparse.Namespace(a=1)}
    torch.save(content, path, _use_new_zipfile_serialization=not old)
    whole = Path(path).read_bytes()
    for length in (10, 100, len(whole) // 3, len(whole) // 2, len(whole) - 1):
        Path(path).write_bytes(whole[:length])
        with pytest.raises(CornetError, match=r"^mine\.pth ") as error:
            extract_weights(read_weight_file(path), path, [OWN])
        assert "\n" not in str(error.value)


def test_the_line_is_a_warning_of_cornet(path, caplog):
    loaded({"model": STATE}, path, caplog)
    assert [(record.name, record.levelno) for record in caplog.records] == [("cornet", logging.WARNING)]

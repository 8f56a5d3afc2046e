"""Malformed checkpoints: nothing that they hold is run, and what cannot be loaded or gone on from is refused well."""

import collections
import io
import os
import pickle
import warnings
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import strategies as st
from omegaconf import OmegaConf

from cornet import create_model, load_published, to_published
from cornet.brain.subjects import open_subject
from cornet.models.safe_load import read_checkpoint
from cornet.runs.folder import RunFolder
from cornet.training.run import starting_point
from tests.helpers.faults.malformed import (
    BOMB,
    EFFORT,
    damaged,
    fuzz,
    members,
    odd_tree,
    odd_values,
    odd_zip,
    packed,
)
from tests.helpers.faults.watched import Watched

NETWORK = {"width": 0.02, "num_classes": 3}
RAN = "CORNET_TEST_CODE_RAN"


@pytest.fixture(scope="module")
def watched():
    found = Watched()
    yield found
    found.stop()


class Runs:
    """What runs a command where it is unpickled."""

    def __reduce__(self) -> Any:
        return os.putenv, (RAN, "1")


def own(name: str = "cornet_s", **arguments: Any) -> dict[str, Any]:
    """What train.py's checkpoint holds that a reader looks at."""
    net = create_model(name, **NETWORK, **arguments)
    facts = {"model.name": name, **{f"model.{key}": value for key, value in {**NETWORK, **arguments}.items()}}
    return {
        "epoch": 1,
        "global_step": 8,
        "pytorch-lightning_version": "2.6.0",
        "state_dict": {f"net.{key}": value for key, value in net.state_dict().items()},
        "loops": {"fit_loop": {"state_dict": {}, "epoch_progress": {"current": {"ready": 1}}}},
        "callbacks": {"BrainScore": {"shown": {"brain/IT": 0.5}}},
        "optimizer_states": [
            {"state": {0: {"momentum_buffer": torch.zeros(3)}}, "param_groups": [{"lr": 0.1}]}
        ],
        "lr_schedulers": [{"last_epoch": 8}],
        "cornet": facts,
        "random_state": {"torch": torch.get_rng_state(), "python": [3, list(range(625)), None]},
    }


def published(name: str) -> dict[str, Any]:
    """A file in the layout of 2018."""
    weights = to_published(create_model(name, **NETWORK))
    return {"epoch": 43, "state_dict": {f"module.{key}": value for key, value in weights.items()}}


def odd_tensors() -> st.SearchStrategy[Any]:
    """Tensors and other values that nobody expects in a checkpoint."""
    return odd_values() | st.sampled_from(range(24)).map(odd_tensor)


def odd_tensor(which: int) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that some of these are new in PyTorch, and some old
        return new_odd_tensor(which)


def new_odd_tensor(which: int) -> Any:
    one = torch.ones(4)
    return (
        lambda: torch.ones(()).expand(10**6, 10**6),
        lambda: torch.ones(1).expand(10**9, 10),
        lambda: torch.as_strided(one, (2, 10**7), (0, 0)),
        lambda: torch.ones(0, 10**12),
        lambda: torch.ones(3, 3, dtype=torch.complex64),
        lambda: torch.ones(3, dtype=torch.bool),
        lambda: torch.full((3,), float("nan")),
        lambda: torch.full((10, 3), 2**62),
        lambda: torch.eye(3).to_sparse(),
        lambda: torch.eye(3).to_sparse_csr(),
        lambda: torch.quantize_per_tensor(one, 0.1, 0, torch.qint8),
        lambda: torch.ones(3, device="meta"),
        lambda: torch.nn.Parameter(one),
        lambda: torch.ones(3, dtype=torch.bfloat16),
        lambda: torch.ones(3, dtype=torch.float8_e4m3fn),
        lambda: torch.ones((1,) * 60),
        lambda: collections.OrderedDict(a=one),
        lambda: {1: one, (2, 3): one, None: one, one: 1},
        lambda: torch.Size([3, 3]),
        lambda: torch.float32,
        lambda: b"\0" * 100,
        lambda: {1, 2},
        lambda: (1, (2,)),
        lambda: Runs(),
    )[which]()


def saved(content: Any, old: bool = False) -> bytes:
    out = io.BytesIO()
    torch.save(content, out, _use_new_zipfile_serialization=not old)
    return out.getvalue()


PICKLES = (
    b"\x80\x02cposix\nsystem\nX\x04\x00\x00\x00true\x85R.",
    b"\x80\x02ctorch\nload\nX\x0b\x00\x00\x00/etc/passwd\x85R.",
    b"\x80\x02c__builtin__\neval\nX\x01\x00\x00\x001\x85R.",
    b"\x80\x02" + b"(" * 100_000 + b".",
    b"\x80\x02" + b"]" * 50_000 + b"a" * 49_999 + b".",
    b"\x80\x02}q\x00" + b"h\x00h\x00\x86" * 1000 + b".",
    b"\x80\x02\x8e" + b"\xff" * 7 + b"\x7f" + b"x.",
    b"\x80\x02X\xff\xff\xff\x7fabc.",
    b"\x80\x02\x8a\xff" + b"\xff" * 255 + b".",
    b"",
    b".",
    b"\x80\x02}.",
    b"\x80\x02K\x01.",
    pickle.dumps({"state_dict": Runs()}, 2),
    pickle.dumps({"state_dict": {"a": 10**5000}}, 2),
)


@st.composite
def odd_files(draw: Any, whole: dict[str, Any]) -> bytes:
    """A checkpoint with odd content, odd records, or damage."""
    kind = draw(
        st.sampled_from(("content", "content", "content", "old", "bytes", "zip", "pickle", "bomb", "claims"))
    )
    if kind in ("content", "old"):
        try:
            return saved(draw(odd_tree(whole, odd_tensors())), old=kind == "old")
        except (
            RuntimeError,
            TypeError,
            ValueError,
            RecursionError,
            AttributeError,
            OverflowError,
        ):
            return saved({})  # what torch does not save
    sound = saved(whole)
    if kind == "bytes":
        return draw(damaged(draw(st.sampled_from((sound, saved(whole, old=True))))))
    records = members(sound)
    inner = next(name for name in records if name.endswith("data.pkl"))
    if kind == "zip":
        return draw(odd_zip(records))
    if kind == "bomb":
        return packed(
            [[name, data, BOMB if name.endswith("/data/0") else 0, 0] for name, data in records.items()]
        )
    if kind == "pickle":
        records[inner] = draw(st.sampled_from(PICKLES))
    else:  # storages and strides that claim more than there is
        data = bytearray(records[inner])
        for _ in range(draw(st.integers(1, 4))):
            place = data.find(draw(st.sampled_from((b"K", b"M", b"J"))), draw(st.integers(0, len(data))))
            if place >= 0:
                data[place + 1 : place + 2] = draw(st.binary(min_size=1, max_size=1))
        if draw(st.booleans()):
            data = bytearray(
                bytes(data).replace(
                    b"K\x03", b"\x8a\x08\x00\x00\x00\x00\x00\x01\x00\x00", 1 + draw(st.integers(0, 5))
                )
            )
        records[inner] = bytes(data)
    return packed([[name, data, 0, 0] for name, data in records.items()])


def put(content: bytes, folder: Path) -> None:
    """As a run's last checkpoint, and as a file by itself."""
    (folder / "checkpoints").mkdir(exist_ok=True)
    for name in ("last", "best"):
        (folder / "checkpoints" / f"{name}.ckpt").write_bytes(content)
    (folder / "config.yaml").write_text(
        "data:\n  size: 32\n  mean: [0.5, 0.5, 0.5]\n  std: [0.2, 0.2, 0.2]\n"
    )


def nothing_ran() -> None:
    import ctypes

    found = ctypes.CDLL(None).getenv
    found.restype = ctypes.c_char_p
    if found(RAN.encode()) is not None:
        raise RuntimeError("code of a file was run")


def read_file(folder: Path) -> None:
    try:
        read_checkpoint(folder / "checkpoints" / "last.ckpt")
    finally:
        nothing_ran()


def read_weights(folder: Path) -> None:
    path = folder / "checkpoints" / "last.ckpt"
    for name in ("cornet_s", "cornet_rt"):
        net = create_model(name, **NETWORK)
        try:
            load_published(net, path)
        finally:
            nothing_ran()


def read_network(folder: Path) -> None:
    try:
        open_subject(f"{folder}/checkpoints/best.ckpt?size=32&model=cornet_rt")
        open_subject(str(folder))
    finally:
        nothing_ran()


def read_start(folder: Path) -> None:
    config = OmegaConf.create({"ckpt_path": "auto"})
    try:
        starting_point(config, RunFolder(folder), None)
    finally:
        nothing_ran()


WHOLE = {
    "own": own,
    "own_rt": lambda: own("cornet_rt", times=5),
    "published_s": lambda: published("cornet_s"),
    "published_rt": lambda: published("cornet_rt"),
}


@EFFORT
@pytest.mark.parametrize("which", WHOLE)
def test_networks_of_files(watched, tmp_path, which, effort):
    fuzz(effort, 3, odd_files(WHOLE[which]()), watched, read_network, tmp_path / "mine", put)


@EFFORT
@pytest.mark.parametrize("which", ["own", "published_s"])
def test_weights_of_files(watched, tmp_path, which, effort):
    fuzz(effort, 3, odd_files(WHOLE[which]()), watched, read_weights, tmp_path / "mine", put)


@EFFORT
def test_files_alone(watched, tmp_path, effort):
    fuzz(effort, 6, odd_files(own()), watched, read_file, tmp_path / "mine", put)


@EFFORT
def test_where_a_training_goes_on(watched, tmp_path, effort):
    fuzz(effort, 4, odd_files(own()), watched, read_start, tmp_path / "mine", put)

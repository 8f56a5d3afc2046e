"""The published checkpoint layout: round trips, and every kind of file that is refused."""

import argparse
import collections
import pickle
import re
from pathlib import Path

import numpy as np
import pytest
import torch

from cornet import CornetError, create_model, load_published, to_published
from cornet.models.safe_load import read_checkpoint
from tests.helpers.models.named import CORNETS

VARIANTS = [
    ("cornet_s", {"norm": "group"}),
    ("cornet_s", {"norm": "shared"}),
    ("cornet_s", {"norm": "shared_affine"}),
    ("cornet_s", {"times": {"V2": 1, "V4": 8, "IT": 3}}),
    ("cornet_s", {"times": 5, "bottleneck": 2}),
    ("cornet_r", {"norm": "per_step"}),
    ("cornet_rt", {"norm": "shared_affine", "times": 7}),
    *((name, {}) for name in CORNETS),
]


def small(name="cornet_s", **arguments):
    """A narrow network, all of whose entries are random."""
    net = create_model(name, **{"num_classes": 6, "width": 0.05, **arguments})
    for key, value in net.state_dict().items():
        if value.is_floating_point():
            torch.nn.init.uniform_(value, 0.5, 1.5)
        assert key.startswith(("areas.", "decoder."))
    return net.eval()


def equal(a, b):
    return all(torch.equal(x, b.state_dict()[key]) for key, x in a.state_dict().items())


@pytest.mark.parametrize(
    ("name", "arguments", "prefix"),
    [*((*one, "") for one in VARIANTS), *((name, {}, "module.") for name in CORNETS)],
)
def test_round_trip(name, arguments, prefix, tmp_path):
    net, other = small(name, **arguments), small(name, **arguments)
    assert not equal(net, other)
    state = {prefix + key: value for key, value in to_published(net).items()}
    path = tmp_path / "weights.pth"
    # What training saved beside the weights is left alone.
    sgd = torch.optim.SGD(net.parameters(), 0.1, momentum=0.9)
    flags = {"lr": 0.1, "workers": 4, "name": "x", "nothing": None}
    content = {"state_dict": state, "optimizer": sgd.state_dict(), "epoch": 43, "flags": flags}
    torch.save(content, path, _use_new_zipfile_serialization=prefix == "")
    assert load_published(other, path) is other
    assert equal(net, other)
    images = torch.randn(2, 3, 32, 32)
    assert torch.equal(net(images), other(images))
    assert equal(load_published(small(name, **arguments), str(path)), net)
    assert equal(load_published(small(name, **arguments), state), net)


def test_counters_of_batches_may_be_missing():
    net, other = small(), small()
    state = {k: v for k, v in to_published(net).items() if not k.endswith("num_batches_tracked")}
    for value in other.buffers():
        value.fill_(3)
    load_published(other, {"state_dict": state})
    assert equal(load_published(small(), to_published(other)), other)
    assert int(other.areas["V2"].norm1.norms[1].num_batches_tracked) == 3
    assert torch.equal(
        other.areas["V2"].norm1.norms[1].running_mean, net.areas["V2"].norm1.norms[1].running_mean
    )


def test_device_and_precision_stay():
    net = small().double()
    before = {key: value.data_ptr() for key, value in net.state_dict().items()}
    load_published(net, to_published(small()))
    assert net.decoder.weight.dtype == torch.float64
    assert {key: value.data_ptr() for key, value in net.state_dict().items()} == before
    load_published(small(), {key: value.half() for key, value in to_published(small()).items()})


def test_weights_of_norms_per_step_do_not_pass_for_shared_ones():
    with pytest.raises(CornetError, match=r"norm='per_step', but the network norm='shared_affine'"):
        load_published(small(norm="shared_affine"), to_published(small()))


@pytest.mark.parametrize(
    ("made", "into", "message"),
    [
        (("cornet_z", {}), ("cornet_s", {}), "holds the weights of cornet_z, but the network is cornet_s"),
        (("cornet_s", {}), ("cornet_r", {}), "cornet_s, but the network is cornet_r or cornet_rt"),
        (("cornet_rt", {}), ("cornet_z", {}), "cornet_r or cornet_rt, but the network is cornet_z"),
        (
            ("cornet_s", {"num_classes": 1000}),
            ("cornet_s", {}),
            "has num_classes=1000, but the network num_classes=6",
        ),
        (
            ("cornet_z", {"num_classes": 9}),
            ("cornet_z", {}),
            "has num_classes=9, but the network num_classes=6",
        ),
        (("cornet_z", {"width": 0.125}), ("cornet_z", {}), "has width=0.125, but the network width=0.05"),
        (
            ("cornet_s", {"bottleneck": 2}),
            ("cornet_s", {}),
            "has bottleneck=2.0, but the network bottleneck=4.0",
        ),
        (
            ("cornet_s", {"times": {"V4": 2}}),
            ("cornet_s", {}),
            "has times={'V2': 2, 'V4': 2, 'IT': 2}, but the",
        ),
        (("cornet_s", {}), ("cornet_s", {"times": 1}), "but the network times={'V2': 1, 'V4': 1, 'IT': 1}"),
        (
            ("cornet_s", {"norm": "group"}),
            ("cornet_s", {}),
            "has norm='group', but the network norm='per_step'",
        ),
        (
            ("cornet_s", {}),
            ("cornet_s", {"norm": "shared"}),
            "has norm='per_step', but the network norm='shared'",
        ),
        (
            ("cornet_r", {"in_channels": 1}),
            ("cornet_r", {}),
            "V1.conv_input.weight of shape (3, 1, 7, 7), not (3, 3",
        ),
    ],
)
def test_another_network_s_weights(made, into, message):
    net = small(into[0], **into[1])
    before = {key: value.clone() for key, value in net.state_dict().items()}
    with pytest.raises(CornetError, match=re.escape(message)):
        load_published(net, to_published(small(made[0], **made[1])))
    assert all(torch.equal(value, before[key]) for key, value in net.state_dict().items())


def dropped(state, key):
    return {k: v for k, v in state.items() if k != key}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda s: dropped(s, "V4.norm2_1.bias"), "missing V4.norm2_1.bias"),
        (lambda s: dropped(s, "IT.conv3.weight"), "missing IT.conv3.weight"),
        (lambda s: {**s, "V5.conv.weight": torch.zeros(1)}, "unexpected V5.conv.weight"),
        (
            lambda s: {**s, "V1.conv1.weight": torch.zeros(3)},
            "wrong shape V1.conv1.weight of shape (3,), not",
        ),
        (lambda s: {**s, "epoch": 3}, "holds int under 'epoch', not a tensor"),
        (lambda s: {**s, "V1.conv1.weight": None}, "holds NoneType under 'V1.conv1.weight', not a tensor"),
        (
            lambda s: {**s, "IT.skip.weight": s["IT.skip.weight"].to_sparse()},
            "a dense real tensor",
        ),
        (
            lambda s: {**s, "IT.skip.weight": s["IT.skip.weight"].to("meta")},
            "a dense real tensor",
        ),
        (
            lambda s: {**s, "IT.skip.weight": s["IT.skip.weight"].to(torch.complex64)},
            "a dense real tensor",
        ),
        (lambda s: {"state_dict": [1, 2]}, "holds list under state_dict, not a dict of tensors"),
        (lambda s: {"epoch": 3, "arch": "x"}, "holds no weights (it has epoch, arch)"),
        (lambda s: {}, "it is empty"),
        (lambda s: {"layer.weight": torch.zeros(2)}, "unexpected layer.weight"),
    ],
)
def test_changed_weights_leave_the_network_as_it_was(change, message):
    net = small()
    before = {key: value.clone() for key, value in net.state_dict().items()}
    with pytest.raises(CornetError, match=re.escape(message)):
        load_published(net, change(to_published(small())))
    assert all(torch.equal(value, before[key]) for key, value in net.state_dict().items())


class Runs:
    """Writes a file when it is unpickled."""

    def __init__(self, marker):
        self.marker = marker

    def __reduce__(self):
        return Path.touch, (Path(self.marker),)


@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.parametrize(
    ("build", "names"),
    [
        (lambda s, bad: collections.OrderedDict(**s, payload=bad), "under 'payload'"),
        (lambda s, bad: {"state_dict": {**s, "payload": bad}}, "under 'payload'"),
        (lambda s, bad: {"payload": bad}, "under 'payload'"),
        (lambda s, bad: {"state_dict": bad}, "under 'state_dict'"),
        (lambda s, bad: bad, "which is neither a tensor nor plain data"),
    ],
)
def test_code_in_place_of_weights_is_refused_and_not_run(build, names, zipped, tmp_path):
    path, marker = tmp_path / "weights.pth", tmp_path / "marker"
    net = small()
    torch.save(build(to_published(net), Runs(marker)), path, _use_new_zipfile_serialization=zipped)
    with pytest.raises(CornetError) as caught:
        load_published(net, path)
    assert not marker.exists()
    message = str(caught.value)
    assert re.search(r"holds (builtins\.)?getattr|holds pathlib\.", message)
    assert names in message
    assert "torch.save({'state_dict': d" in message
    assert "\n" not in message
    # The marker would have been made, had the file been trusted.
    torch.load(path, weights_only=False)
    assert marker.exists()


@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.parametrize("nested", [False, True])
def test_code_beside_the_weights_is_named_and_not_run(nested, zipped, tmp_path, caplog):
    path, marker = tmp_path / "weights.pth", tmp_path / "marker"
    net, other = small(), small()
    bad = {"a": {"b": [Runs(marker)]}} if nested else Runs(marker)
    content = {"state_dict": to_published(net), "epoch": 3, "payload": bad}
    torch.save(content, path, _use_new_zipfile_serialization=zipped)
    assert equal(load_published(other, path), net)
    assert not marker.exists()
    assert caplog.messages == [f"{path}: read state_dict; payload (builtins.getattr) was not read"]
    with pytest.raises(CornetError, match="could execute code, so it was refused"):
        read_checkpoint(path)  # from which a training would resume
    torch.load(path, weights_only=False)
    assert marker.exists()


@pytest.mark.parametrize(
    ("value", "name"),
    [
        (argparse.Namespace(lr=0.1), "argparse.Namespace"),
        (np.float64(0.7), "numpy._core.multiarray.scalar"),
        (Path("x"), "pathlib"),
        (print, "print"),
    ],
)
def test_a_training_does_not_resume_from_objects(value, name, tmp_path):
    path = tmp_path / "weights.pth"
    torch.save({"epoch": 1, "flags": value, "state_dict": {"a": torch.zeros(1)}}, path)
    with pytest.raises(CornetError, match=f"holds {re.escape(name)}.* under 'flags'"):
        read_checkpoint(path)


@pytest.mark.parametrize("zipped", [True, False])
def test_a_file_cut_off_anywhere(zipped, tmp_path):
    path = tmp_path / "weights.pth"
    torch.save({"state_dict": to_published(small())}, path, _use_new_zipfile_serialization=zipped)
    whole = path.read_bytes()
    for length in (0, 1, 3, 10, 100, len(whole) // 3, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:length])
        with pytest.raises(
            CornetError, match=r"weights\.pth is (not a checkpoint|truncated, damaged or not a checkpoint)"
        ):
            load_published(small(), path)


def test_other_things_that_are_no_checkpoint(tmp_path):
    path = tmp_path / "x.pth"
    with pytest.raises(CornetError, match=r"x\.pth does not exist"):
        read_checkpoint(path)
    with pytest.raises(CornetError, match="is a folder"):
        read_checkpoint(tmp_path)
    for content in (b"<html>not found</html>", b"hello\n", pickle.dumps({"a": 1}), b"PK\x03\x04 no archive"):
        path.write_bytes(content)
        with pytest.raises(CornetError, match="not a checkpoint"):
            read_checkpoint(path)
    torch.save([torch.zeros(1)], path)
    with pytest.raises(CornetError, match="holds list, not a dict of weights"):
        read_checkpoint(path)


def test_a_checkpoint_of_train_py_gives_its_weights(tmp_path):
    net, other = small(), small()
    state = {f"net.{key}": value for key, value in net.state_dict().items()}
    torch.save({"state_dict": state, "epoch": 3, "loops": {}}, tmp_path / "last.ckpt")
    assert equal(load_published(other, tmp_path / "last.ckpt"), net)
    with pytest.raises(CornetError, match="num_classes"):
        load_published(small(num_classes=7), tmp_path / "last.ckpt")


@pytest.mark.parametrize("prefix", ["", "module.", "net.", "_orig_mod.", "model._orig_mod.", "backbone."])
@pytest.mark.parametrize("own_layout", [False, True])
def test_files_of_other_programs(own_layout, prefix, tmp_path, caplog):
    net, path = small("cornet_z"), tmp_path / "mine.pth"
    state = net.state_dict() if own_layout else to_published(net)
    state = {f"{prefix}{key}": value for key, value in state.items()}
    torch.save({"state_dict": state, "args": argparse.Namespace(lr=0.1)}, path)
    assert equal(load_published(small("cornet_z"), path), net)
    removed = f", removed the prefix {prefix}" if prefix else ""
    assert caplog.messages == [f"{path}: read state_dict{removed}; args (argparse.Namespace) was not read"]
    torch.save({"state_dict": {**state, "criterion.weight": torch.ones(3)}}, path)
    if prefix:
        assert equal(load_published(small("cornet_z"), path), net)
    else:
        with pytest.raises(CornetError, match=r"unexpected criterion\.weight"):
            load_published(small("cornet_z"), path)


@pytest.mark.parametrize("prefix", ["", "module."])
def test_the_published_layout_needs_no_line(prefix, tmp_path, caplog):
    state = {f"{prefix}{key}": value for key, value in to_published(small()).items()}
    torch.save({"state_dict": state, "epoch": 43}, tmp_path / "x.pth")
    load_published(small(), tmp_path / "x.pth")
    assert not caplog.messages


def test_averaged_weights(tmp_path):
    net, average, path = small(), small(), tmp_path / "x.pth"
    torch.save({"state_dict": to_published(net), "model_ema": to_published(average)}, path)
    made = {"num_classes": 6, "width": 0.05}
    assert equal(create_model("cornet_s", pretrained=path, **made), net)
    assert equal(create_model("cornet_s", pretrained=path, ema=True, **made), average)
    assert equal(load_published(small(), path, ema=True), average)
    with pytest.raises(CornetError, match="give pretrained=PATH too"):
        create_model("cornet_s", ema=True, **made)
    torch.save(to_published(net), path)
    with pytest.raises(CornetError, match=r"holds no averaged weights .*; leave out ema"):
        load_published(net, path, ema=True)

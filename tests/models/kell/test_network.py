"""The network of Kell et al. 2018 against golden values, its sizes, branches and widths."""

import zlib

import numpy as np
import pytest
import torch
import torch.nn.functional as F

import cornet
from cornet import CornetError, create_model, list_models
from cornet.models.costs import describe
from cornet.models.kell.layout import STAGES
from cornet.models.kell.stages import Conv, Pool, response_norm
from tests.helpers.paths import GOLDEN

NARROW = {"channels": (8, 12, 16, 20, 16), "hidden": 24}
TOPS = {"word": 589, "genre": 43}


@pytest.fixture(scope="module")
def golden():
    return np.load(GOLDEN / "sound.npz")


def draw(key, shape):
    numbers = np.random.default_rng(zlib.crc32(key.encode())).standard_normal(shape, dtype=np.float32)
    return torch.from_numpy(numbers)


def filled(tensor, key):
    """A weight or bias of the golden networks."""
    scale = np.sqrt(2 / np.prod(tensor.shape[1:])) if tensor.ndim > 1 else 0.1
    numbers = draw(key, tuple(tensor.shape)).to(tensor.dtype)
    return numbers * (float(scale) if tensor.dtype == torch.float64 else np.float32(scale))


def fill(net, prefix, names):
    """Set the weights by a formula. names: of the tasks in the keys."""
    with torch.no_grad():
        for name, parameter in net.named_parameters():
            stage, _, rest = name.removeprefix("areas.").replace(".linear", "").partition(".")
            base, _, task = stage.partition("_")
            if base != "decoder":
                key = f"{prefix}:{base}{names[task] if task else ''}.{rest}"
                parameter.copy_(filled(parameter, key))


def read_out(states, task, prefix, name, outputs):
    features = states[f"fc6_{task}"][0, :, :, 0, 0]
    shapes = ((outputs, features.shape[1]), (outputs,))
    top, bias = (
        filled(torch.empty(shape, dtype=features.dtype), f"{prefix}{name}.{part}")
        for shape, part in zip(shapes, ("weight", "bias"), strict=True)
    )
    return F.linear(features, top, bias)


def test_all_stages_equal_tensorflow(golden):
    net = create_model("kell_2018", **NARROW).eval()
    fill(net, "kell", {"word": "_W", "genre": "_G"})
    y, x = np.mgrid[:256, :256]
    wave = 127.5 * (1 + np.sin(2 * np.pi * (3 * x + 2 * y) / 256) * np.exp(-(((y - 128) / 90) ** 2)))
    noise = 60 * draw("kell:input", (256, 256)).abs()
    inputs = torch.stack([torch.from_numpy(wave).float(), noise])[:, None]
    with torch.no_grad():
        _, states = net(inputs, return_states=True)
    every = {"rnorm1": 8, "pool1": 5, "conv2": 5, "pool2": 5, "conv3": 3, "pool5": 1}
    for name, state in states.items():
        key = name.replace("_word", "_W").replace("_genre", "_G")
        maps = state[0].permute(0, 2, 3, 1).numpy()
        mean = golden[f"net/mean_{key}"]
        assert maps.mean() == pytest.approx(float(mean), rel=1e-5)
        stage = name.partition("_")[0]
        if stage == "fc6":
            np.testing.assert_allclose(maps[:, 0, 0], golden[f"net/{key}"], rtol=1e-4, atol=1e-4)
        else:
            assert maps.shape[1:] == tuple(golden[f"net/shape_{key}"])
        if stage in every:
            step = every[stage]
            np.testing.assert_allclose(maps[:, ::step, ::step], golden[f"net/{key}"], rtol=1e-4, atol=1e-4)
    for task, letter in (("word", "W"), ("genre", "G")):
        found = read_out(states, task, "kell:", f"fctop_{letter}", TOPS[task])
        np.testing.assert_allclose(found, golden[f"net/fctop_{letter}"], rtol=1e-3, atol=1e-4)


def test_a_small_network_in_float64(golden):
    net = create_model("kell_2018", channels=(4, 6, 8, 10, 8), hidden=12, input_size=(70, 64)).eval().double()
    fill(net, "audio", {"word": "_word", "genre": "_genre"})
    inputs = 60 * draw("audio:x", (2, 1, 70, 64)).double() + 100
    with torch.no_grad():
        _, states = net(inputs, return_states=True)
    for name in (
        "rnorm2",
        "pool1",
        "pool2",
        "conv3",
        "conv5_word",
        "pool5_word",
        "conv5_genre",
        "pool5_genre",
    ):
        np.testing.assert_allclose(states[name][0], golden[f"audio/net/{name}"], rtol=1e-9, atol=1e-9)
    for name in ("conv1", "rnorm1"):
        np.testing.assert_allclose(
            states[name][0, :, :, ::4, ::4], golden[f"audio/net/{name}"], rtol=1e-9, atol=1e-9
        )
    for task, outputs in (("word", 11), ("genre", 5)):
        found = read_out(states, task, "audio:", f"top_{task}", outputs)
        np.testing.assert_allclose(found, golden[f"audio/net/logits_{task}"], rtol=1e-9)


def test_operations_equal_tensorflow(golden):
    small = draw("kell:small", (1, 7, 7, 6)).permute(0, 3, 1, 2)
    for key, factor in (("lrn_small", 1), ("lrn_small_big", 100)):
        found = response_norm()(factor * small).permute(0, 2, 3, 1)
        np.testing.assert_allclose(found, golden[f"net/{key}"], rtol=1e-5)
    ramp = torch.arange(36.0).view(1, 1, 6, 6)
    np.testing.assert_allclose(Pool(mean=True)(ramp)[0, 0], golden["net/avgpool_same_6"])
    np.testing.assert_allclose(Pool()(-ramp)[0, 0], golden["net/maxpool_same_6"])
    conv = Conv(1, 1, 5, 2)
    torch.nn.init.ones_(conv.weight)
    torch.nn.init.zeros_(conv.bias)
    with torch.no_grad():
        found = conv(torch.arange(100.0).view(1, 1, 10, 10))
    np.testing.assert_allclose(found[0, 0], golden["net/conv_same_pos"])


def test_the_published_size():
    row = describe("kell_2018")
    genre = 43 * 1025
    assert row.parameters + genre == 59_078_712
    with torch.device("meta"):
        net = create_model("kell_2018")
        _, states = net(torch.empty(1, 1, 256, 256), return_states=True)
    trunk = [name for name in states if "_" not in name]
    assert trunk == list(STAGES[:7])
    shared = sum(p.numel() for name in trunk for p in net.areas[name].parameters())
    assert shared == 1_802_688
    assert [states[n].shape[-1] for n in ("conv1", "pool1", "conv2", "pool2", "conv3", "pool5_word")] == [
        *(86, 43, 22, 11, 11, 6)
    ]


@pytest.mark.parametrize("branch", [0, 3, 7, 11])
def test_branches_get_the_gradient_of_their_task_and_shared_stages_of_both(branch):
    net = create_model("kell_small", branch=branch, dropout=0.0)
    _, states = net(torch.rand(2, 1, 45, 50), return_states=True)
    states["fc6_word"].square().sum().backward()
    got = {name.split(".")[1] for name, p in net.named_parameters() if p.grad is not None}
    expected = {name for name, stage in net.areas.items() if list(stage.parameters()) and "genre" not in name}
    assert got == expected
    assert len(states) == branch + 2 * max(11 - branch, 1)


def test_sizes_of_the_small_network_are_the_measured_ones():
    tops = 65 * 18
    for branch, expected in ((0, 116_978), (7, 102_210), (11, 59_074)):
        net = create_model("kell_small", branch=branch, norm="none")
        assert net.layout.parameters + tops == expected
        assert net.layout.parameters + 65 * 10 == sum(p.numel() for p in net.parameters())


@pytest.mark.parametrize("norm", ["none", "batch"])
def test_the_width_compensates_for_the_branch_point(norm):
    for branch in range(12):
        net = create_model("kell_small", branch=branch, parameters=100_000, norm=norm)
        assert net.layout.parameters == pytest.approx(100_000, rel=0.02)
        assert net.layout.parameters + net.decoder.weight.numel() + 10 == sum(
            p.numel() for p in net.parameters()
        )


def test_it_is_not_among_the_networks_for_images():
    names = {"kell_2018", "kell_small"}
    assert not names & set(list_models())
    assert names < set(cornet.list_models(other_inputs=True))


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"branch": 12}, "branch=12 must be the number of shared stages, a whole number from 0 to 11"),
        ({"branch": True}, "branch=True"),
        ({"tasks": ()}, r"tasks=\[\] must be different names"),
        ({"tasks": ("word", "word")}, "must be different names"),
        ({"channels": (1, 2)}, "must have 5 numbers"),
        ({"norm": "layer"}, "norm='layer' is unknown"),
        ({"dropout": 1.0}, "dropout=1.0 must be a share"),
        ({"parameters": 10}, "parameters=10 is too few for branch=7"),
        ({"input_size": (45,)}, "must be two numbers"),
    ],
)
def test_wrong_arguments(arguments, words):
    with pytest.raises(CornetError, match=words):
        create_model("kell_small", **arguments)


def test_inputs_of_another_size():
    with pytest.raises(
        CornetError, match=r"shape \(1, 45, 100\) do not fit the network, which takes \(1, 45, 50\)"
    ):
        create_model("kell_small")(torch.rand(1, 1, 45, 100))

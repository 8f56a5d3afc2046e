"""B, BL and BLT: the connections, their timing, and what is refused."""

import pytest
import torch
import torch.nn.functional as F

from cornet import CornetError, create_model
from cornet.models import describe
from cornet.models.blt import BLT

SMALL = {"num_classes": 5, "width": 0.1, "times": 3}


@pytest.fixture
def images():
    torch.manual_seed(0)
    return torch.randn(2, 3, 37, 48)


def unrolled(net, images, steps):
    """The definition, written out area by area from the weights."""
    names = list(net.areas)
    last = {}
    history = {name: [] for name in names}
    for step in range(steps):
        now = {}
        for position, name in enumerate(names):
            layer = net.areas[name]
            if position == 0:
                below, stride = images, 2
            else:
                below, stride = F.max_pool2d(now[names[position - 1]], 2, 2, ceil_mode=True), 1
            size = layer.bottom_up.kernel_size[0] // 2
            x = F.conv2d(below, layer.bottom_up.weight, stride=stride, padding=size)
            if step and layer.lateral is not None:
                x = x + F.conv2d(last[name], layer.lateral.weight, padding=size)
            if step and layer.top_down is not None:
                above = last[names[position + 1]]
                wide = F.conv_transpose2d(above, layer.top_down.weight, stride=2, padding=size)
                short = [a - b for a, b in zip(x.shape[-2:], wide.shape[-2:], strict=True)]
                wide = F.conv_transpose2d(
                    above, layer.top_down.weight, stride=2, padding=size, output_padding=short
                )
                x = x + wide
            now[name] = torch.relu(layer.norm.norms[step](x))
            history[name].append(now[name])
        last = now
    return history


@pytest.mark.parametrize("name", ["bl", "blt"])
def test_states_are_those_of_the_definition(name, images):
    net = create_model(name, **SMALL).eval()
    for key, value in net.state_dict().items():
        if key.endswith(("running_mean", "bias")):
            torch.nn.init.normal_(value, 0, 0.3)
    with torch.no_grad():
        logits, states = net(images, return_states=True)
        expected = unrolled(net, images, 3)
        every = net(images, readouts=True)
    for area, outputs in expected.items():
        torch.testing.assert_close(states[area], torch.stack(outputs))
        assert net.first_driven_step(area) == 0
    assert every.shape == (3, 2, 5)
    torch.testing.assert_close(every[-1], logits)
    assert [state.shape[-2:] for state in states.values()] == [(19, 24), (10, 12), (5, 6), (3, 3)]


def test_the_connections_of_each_network(images):
    kinds = {name: create_model(name, **{**SMALL, "times": 1}) for name in ("b", "bl", "blt")}
    own = {
        name: {key.split(".")[2] for key in net.state_dict() if "areas" in key} for name, net in kinds.items()
    }
    assert own["b"] == {"bottom_up", "norm"}
    assert own["bl"] == {"bottom_up", "lateral", "norm"}
    assert own["blt"] == {"bottom_up", "lateral", "top_down", "norm"}
    assert kinds["blt"].areas["IT"].top_down is None
    bt = BLT(5, lateral=False, width=0.1, times=2)
    assert {key.split(".")[2] for key in bt.state_dict() if "areas" in key} == {
        "bottom_up",
        "top_down",
        "norm",
    }
    for net in kinds.values():
        net.load_state_dict(
            {key: kinds["blt"].state_dict()[key] for key in net.state_dict()}
        )  # one step: all the same
    assert torch.equal(kinds["b"].eval()(images), kinds["blt"].eval()(images))
    assert torch.equal(kinds["bl"].eval()(images), kinds["blt"].eval()(images))


def test_top_down_signals_go_down_one_layer_a_step(images):
    net = create_model("blt", **SMALL).eval()
    with torch.no_grad():
        _, before = net(images, return_states=True)
        net.areas["V4"].top_down.weight.mul_(-1)
        _, after = net(images, return_states=True)
    differs = {
        area: [not torch.equal(a, b) for a, b in zip(before[area], after[area], strict=True)]
        for area in before
    }
    assert differs == {
        "V1": [False, False, False],
        "V2": [False, False, True],
        "V4": [False, True, True],
        "IT": [False, True, True],
    }


def test_its_times_are_those_of_the_areas():
    table = create_model("bl", width=0.1).area_table
    assert {name: (area.steps, area.onset_ms, area.step_ms) for name, area in table.items()} == {
        "V1": (8, 50, 30),
        "V2": (8, 70, 30),
        "V4": (8, 90, 30),
        "IT": (8, 100, 30),
    }
    assert create_model("b", width=0.1).steps == dict.fromkeys(table, 1)


def test_all_seven_layers_of_2020():
    names = ["V1", "V2", "L3", "V4", "L5", "L6", "IT"]
    channels, kernels = (96, 128, 192, 256, 512, 1024, 2048), (7, 5, 3, 3, 3, 3, 1)
    below = (3, *channels)
    weights = sum(k * k * c * (b + c) for k, c, b in zip(kernels, channels, below, strict=False))
    row = describe("bl", 128, areas=names, stride=1)
    assert row.steps == dict.fromkeys(names, 8)
    assert row.parameters == weights + 8 * 2 * sum(channels) + 2049 * 1000
    table = create_model("bl", areas=names, width=0.02).area_table
    assert [area.onset_ms for area in table.values()] == [50, 70, 70, 90, 90, 90, 100]


def test_more_steps_than_trained(images):
    net = create_model("bl", **SMALL).eval()
    _, states = net(images, return_states=True, times=5)
    assert [len(state) for state in states.values()] == [5, 5, 5, 5]
    assert net.steps_for({"V1": 4, "V2": 4, "V4": 4, "IT": 4})["IT"] == 4


@pytest.mark.parametrize(
    ("name", "arguments", "message"),
    [
        ("bl", {"times": {"V1": 2}}, "must be equal, as all areas advance together"),
        ("bl", {"times": {"V5": 2}}, "times names V5"),
        ("b", {"times": 2}, "would repeat the first step"),
        ("bl", {"kernels": [7, 5, 3]}, r"kernels=\[7, 5, 3\] has 3 numbers, but there are 4 areas"),
        ("bl", {"kernels": [7, 5, 3, 2]}, "must be odd"),
        ("bl", {"channels": [1, 2, 3, 0]}, "channels=0 must be a whole number"),
        ("bl", {"areas": list("ABCDEFGH")}, "has 7 numbers, but there are 8 areas"),
        ("bl", {"areas": []}, "areas of name none"),
        ("bl", {"areas": ["V1", "V1"]}, "areas of name V1, V1"),
        ("bl", {"stride": 0}, "stride=0"),
        ("bl", {"norm": "layer"}, "norm='layer' is unknown"),
        ("bl", {"width": 1e9}, "more than 1,000,000 channels"),
    ],
)
def test_refused(name, arguments, message):
    with pytest.raises(CornetError, match=message):
        create_model(name, **{"width": 0.05, **arguments})

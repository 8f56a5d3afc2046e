"""Costs against published figures and PyTorch's own counter."""

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from cornet import CornetError
from cornet.models import CORnet, count_macs, create_model, describe

EXPECTED = {  # parameters, MACs in G
    "cornet_z": (2_071_656, 0.812),
    "cornet_r": (5_208_936, 3.154),
    "cornet_rt": (5_208_936, 3.154),
    "cornet_s": (53_416_616, 16.43),
}


@pytest.mark.parametrize("name", EXPECTED)
def test_figures_of_the_published_networks(name):
    row = describe(name)
    parameters, macs = EXPECTED[name]
    assert row.parameters == parameters
    assert row.macs / 1e9 == pytest.approx(macs, rel=5e-4)
    assert row.size == 224
    assert row.top1 == {"cornet_z": 0.47, "cornet_r": 0.56, "cornet_rt": None, "cornet_s": 0.731}[name]


def counted(net, size):
    """Multiply-adds as PyTorch counts them while every step of the definition runs, the image path included."""
    images = torch.randn(1, 3, size, size)
    with FlopCounterMode(display=False) as whole, torch.no_grad():
        net(images, return_states=True)
    once = 0
    if net.unroll != "sequential":
        with FlopCounterMode(display=False) as path, torch.no_grad():
            net.areas["V1"].drive(images, 0)
        once = path.get_total_flops() * (net.steps["V1"] - 1)
    return (whole.get_total_flops() + once) // 2


@pytest.mark.parametrize("size", [64, 57])
@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("cornet_z", {}),
        ("cornet_r", {"times": 3}),
        ("cornet_rt", {}),
        ("cornet_s", {}),
        ("cornet_s", {"times": {"V2": 1, "V4": 3}, "bottleneck": 2}),
    ],
)
def test_formula_against_the_counter(name, arguments, size):
    net = create_model(name, num_classes=10, width=0.25, **arguments).eval()
    assert count_macs(net, size) == counted(net, size)


def test_recurrent_in_sequence():
    net = CORnet(5, block="recurrent", unroll="sequential", times=3, width=0.25).eval()
    assert count_macs(net, 64) == counted(net, 64)


def test_published_accuracy_belongs_to_the_published_network_alone():
    assert describe("cornet_s", times={"V2": 2}, norm="per_step").top1 == 0.731
    assert "squashed" in describe("cornet_s").top1_note
    for arguments in ({"size": 64}, {"width": 0.5}, {"times": 3}, {"norm": "group"}, {"num_classes": 10}):
        assert describe("cornet_s", **arguments).top1 is None
    assert describe("cornet_r", unroll="synchronous").top1 is None


def test_size_is_checked():
    with pytest.raises(CornetError, match="size=0"):
        describe("cornet_z", size=0)

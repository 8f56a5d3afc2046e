"""Fresh weights against the published formulas."""

import math

import pytest
import torch
from torch import nn

from cornet.models import CORnet, create_model


def layers(net):
    return [m for m in net.modules() if isinstance(m, nn.Conv2d | nn.Linear)]


def spread_is(weight, expected):
    """Whether a sample's standard deviation is as expected, within five standard errors (normal or flatter)."""
    assert abs(weight.std().item() / expected - 1) < 5 / math.sqrt(2 * weight.numel())
    assert abs(weight.mean().item()) < 5 * expected / math.sqrt(weight.numel())


def fans(layer):
    kernel = math.prod(layer.kernel_size) if isinstance(layer, nn.Conv2d) else 1
    return layer.weight.shape[1] * kernel, layer.weight.shape[0] * kernel


def test_z_is_xavier_uniform_with_zero_biases():
    for layer in layers(create_model("cornet_z", width=0.5)):
        fan_in, fan_out = fans(layer)
        bound = math.sqrt(6 / (fan_in + fan_out))
        assert layer.weight.abs().max() <= bound
        spread_is(layer.weight, bound / math.sqrt(3))
        assert torch.count_nonzero(layer.bias) == 0


def test_s_is_normal_by_fan_out():
    for layer in layers(create_model("cornet_s", width=0.5)):
        fan_in, fan_out = fans(layer)
        if isinstance(layer, nn.Conv2d):
            assert layer.bias is None
            spread_is(layer.weight, math.sqrt(2 / fan_out))
        else:
            spread_is(layer.weight, 1 / math.sqrt(3 * fan_in))


@pytest.mark.parametrize("name", ["cornet_r", "cornet_rt"])
def test_r_is_pytorch_s_default(name):
    for layer in layers(create_model(name, width=0.5)):
        fan_in, _ = fans(layer)
        spread_is(layer.weight, 1 / math.sqrt(3 * fan_in))
        assert layer.weight.abs().max() <= 1 / math.sqrt(fan_in)


def test_kaiming():
    for layer in layers(CORnet(5, block="feedforward", init="kaiming", width=0.5))[:-1]:
        spread_is(layer.weight, math.sqrt(2 / fans(layer)[0]))
        assert torch.count_nonzero(layer.bias) == 0


def test_norms_begin_at_one_and_zero():
    for name in ("cornet_r", "cornet_s"):
        for key, value in create_model(name, width=0.1).state_dict().items():
            if ".norms." in key and key.endswith(("weight", "running_var")):
                assert torch.all(value == 1)
            elif ".norms." in key:
                assert torch.all(value == 0)

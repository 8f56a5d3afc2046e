"""What holds for every network of the registry, and what is refused."""

import copy
import pickle

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from omegaconf import OmegaConf

import cornet
from cornet import CornetError, create_model, list_models
from cornet.models import CORnet
from cornet.models.cornet.norm import SteppedNorm
from tests.helpers.models.named import CORNETS, small_arguments

AREAS = ["V1", "V2", "V4", "IT"]
CORNET = (64, 128, 256, 512)
CHANNELS = {**dict.fromkeys(("b", "bl", "blt"), (96, 128, 192, 256)), "hcnn": (64, 128, 256, 256)}


@pytest.mark.parametrize("name", [name for name in list_models() if name != "hmax"])
def test_every_network_with_a_width(name):
    """Any size, number of classes and width."""
    for width, classes in ((0.25, 7), (0.15, 1)):  # .15: 10, 19, 38 and 77 channels
        net = create_model(name, num_classes=classes, width=width).eval()
        assert isinstance(net, torch.nn.Module)
        for size in ((32, 32), (33, 33), (57, 57), (64, 96), (1, 1)):
            with torch.no_grad():
                logits, states = net(torch.randn(2, 3, *size), return_states=True)
            assert logits.shape == (2, classes)
            assert torch.isfinite(logits).all()
            assert list(states) == AREAS
            for (area, state), channels in zip(states.items(), CHANNELS.get(name, CORNET), strict=True):
                assert state.shape[:3] == (net.steps[area], 2, round(channels * width))
                assert torch.isfinite(state).all()


@pytest.mark.parametrize("name", CORNETS)
def test_maps_at_224_pixels_are_the_published_ones(name):
    with torch.no_grad():
        _, states = create_model(name, width=0.1).eval()(torch.randn(1, 3, 224, 224), return_states=True)
    assert [state.shape[-1] for state in states.values()] == [56, 28, 14, 7]


@pytest.mark.parametrize("name", list_models())
def test_gradients_reach_every_parameter(name):
    net = create_model(name, num_classes=5, **small_arguments(name))
    F.cross_entropy(net(torch.randn(4, 3, 48, 48)), torch.arange(4)).backward()
    for key, parameter in net.named_parameters():
        assert parameter.grad is not None, key
        assert parameter.grad.abs().max() > 0, key


@pytest.mark.parametrize("name", list_models())
def test_bfloat16_autocast_and_channels_last(name):
    net = create_model(name, num_classes=5, **small_arguments(name, 0.25)).eval()
    images = torch.randn(2, 3, 48, 48)

    def run(images):
        logits, states = net(images, return_states=True)
        return [logits, *states.values()]

    with torch.no_grad():
        expected = run(images)
        with torch.autocast("cpu", torch.bfloat16):
            half = run(images)
        net = net.to(memory_format=torch.channels_last)
        last = run(images.to(memory_format=torch.channels_last))
    assert half[0].dtype == torch.bfloat16
    for a, b, c in zip(expected, half, last, strict=True):
        assert (a - b.float()).abs().max() <= 0.1 * a.abs().max()
        assert (a - c).abs().max() <= 1e-4 * a.abs().max()


@pytest.mark.parametrize("name", list_models())
def test_copies_and_seeds(name):
    images = torch.randn(1, 3, 32, 32)
    torch.manual_seed(3)
    net = create_model(name, **small_arguments(name)).eval()
    torch.manual_seed(3)
    again = create_model(name, **small_arguments(name)).eval()
    torch.manual_seed(4)
    other = create_model(name, **small_arguments(name)).eval()
    expected = net(images)
    for same in (again, copy.deepcopy(net), pickle.loads(pickle.dumps(net))):
        assert torch.equal(same(images), expected)
    assert not torch.equal(other(images), expected)


def test_times_as_a_number_or_by_area():
    def steps(name, times):
        return list(create_model(name, width=0.05, times=times).steps.values())

    assert steps("cornet_s", None) == [1, 2, 4, 2]
    assert steps("cornet_s", 3) == [1, 3, 3, 3]
    assert steps("cornet_s", {"V4": 7}) == [1, 2, 7, 2]
    assert steps("cornet_s", {"V1": 1, "V2": 1, "V4": 1, "IT": 1}) == [1, 1, 1, 1]
    assert steps("cornet_s", OmegaConf.create({"V2": 4, "IT": 4})) == [1, 4, 4, 4]
    assert steps("cornet_s", np.int64(2)) == [1, 2, 2, 2]
    assert steps("cornet_rt", 4) == [4, 4, 4, 4]
    assert steps("cornet_r", dict.fromkeys(AREAS, 2)) == [2, 2, 2, 2]
    assert steps("cornet_z", 1) == [1, 1, 1, 1]
    _, states = create_model("cornet_s", width=0.05, times={"V2": 3})(
        torch.randn(2, 3, 64, 64), return_states=True
    )
    assert [len(state) for state in states.values()] == [1, 3, 4, 2]


@pytest.mark.parametrize(
    ("name", "arguments", "message"),
    [
        ("cornet_rt", {"times": 3}, "reaches IT at step 4"),
        ("cornet_rt", {"times": 1}, "give at least 4"),
        ("cornet_r", {"times": 1}, "reaches IT at step 2"),
        ("cornet_r", {"times": {"IT": 6}}, "all areas advance in lockstep"),
        ("cornet_z", {"times": 2}, "feed-forward"),
        ("cornet_s", {"times": {"V1": 2}}, "V1 is feed-forward"),
        ("cornet_s", {"times": {"V3": 2}}, "V3"),
        ("cornet_s", {"times": {"V2": 0}}, r"times.V2=0 must be a whole number"),
        ("cornet_s", {"times": 2.5}, r"times=2.5 must be a whole number"),
        ("cornet_s", {"times": True}, "whole number"),
        ("cornet_s", {"times": [1, 2, 4, 2]}, "whole number"),
        ("cornet_s", {"times": "2"}, "whole number"),
        ("cornet_s", {"num_classes": -1}, "num_classes=-1"),
        ("cornet_s", {"num_classes": 1.5}, r"num_classes=1.5"),
        ("cornet_s", {"width": 0}, "width=0"),
        ("cornet_s", {"width": float("nan")}, "width=nan"),
        ("cornet_s", {"width": "wide"}, "width='wide'"),
        ("cornet_s", {"bottleneck": -1}, "bottleneck=-1"),
        ("cornet_s", {"norm": "layer"}, "norm='layer' is unknown; choose one of per_step"),
        ("cornet_s", {"later_steps": "guess"}, "later_steps='guess' is unknown"),
        ("cornet_s", {"init": "zeros"}, "init='zeros' is unknown"),
        ("cornet_s", {"block": "circuit"}, "block='circuit' is unknown"),
        ("cornet_s", {"unroll": "backwards"}, "unroll='backwards' is unknown"),
        ("cornet_s", {"unroll": "synchronous"}, "is incompatible with block='bottleneck'"),
        ("cornet_z", {"norm": "group"}, "has no norms"),
        ("cornet_r", {"bottleneck": 2}, "is incompatible with block='recurrent'"),
        ("cornet_s", {"num_class": 10}, "did you mean num_classes?"),
        ("cornet_s", {"gizmo": 10}, "choose from num_classes, block"),
        (
            "cornet_x",
            {},
            "choose one of b, bl, blt, cornet_r, cornet_rt, cornet_s, cornet_z, fly, hcnn, hmax, ",
        ),
    ],
)
def test_refused(name, arguments, message):
    with pytest.raises(CornetError) as caught:
        create_model(name, **{"width": 0.05, **arguments})
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_areas_may_be_recurrent_in_sequence():
    net = CORnet(5, block="recurrent", unroll="sequential", times={"V1": 1, "V4": 3}, width=0.1).eval()
    _, states = net(torch.randn(1, 3, 32, 32), return_states=True)
    assert [len(state) for state in states.values()] == [1, 5, 3, 5]


def test_the_public_face():
    assert set(cornet.__all__) >= {"create_model", "list_models", "load_published", "to_published"}
    assert all(hasattr(cornet, name) for name in cornet.__all__)
    assert set(cornet.__all__) <= set(dir(cornet))
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = cornet.nothing
    assert list_models() == ["b", "bl", "blt", *CORNETS, "hcnn", "hmax"]


def test_every_norm_of_a_network_has_the_mode_asked_for():
    for norm in ("per_step", "shared", "shared_affine", "group"):
        net = create_model("cornet_s", width=0.1, norm=norm)
        assert {m.mode for m in net.modules() if isinstance(m, SteppedNorm)} == {norm}

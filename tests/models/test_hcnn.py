"""HCNN: the operations against their definitions, sizes, seeds, and the space of members."""

import itertools
import math

import pytest
import torch
from torch.nn import functional as F

from cornet import CornetError, create_model
from cornet.models.hcnn.network import StandardisedLinear, grey
from cornet.models.hcnn.operations import DivisiveNorm, FilterBank, LpPool, random_filters
from cornet.models.hcnn.space import CHANNELS, SPACE, hcnn_member, published


@pytest.fixture
def maps():
    torch.manual_seed(0)
    return torch.randn(2, 4, 12, 13, dtype=torch.float64)


# Lp pool


def windows(x, size, stride=1):
    """(batch, channel, y, x, size * size), without padding."""
    return x.unfold(2, size, stride).unfold(3, size, stride).flatten(-2)


@pytest.mark.parametrize("size", [3, 5])
@pytest.mark.parametrize("power", [1, 2, 3, 10])
def test_pool_is_its_definition(maps, size, power):
    x = maps.clamp(min=0)
    expected = (windows(x, size, 2) ** power).sum(-1) ** (1 / power)
    found = LpPool(size, power, same=False)(x)
    torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-3 * float(x.max()))
    if power == 1:
        torch.testing.assert_close(found, F.avg_pool2d(x, size, 2) * size**2)


@pytest.mark.parametrize("size", [3, 9])
def test_power_10_is_between_the_maximum_and_a_little_more(maps, size):
    x = maps.clamp(min=0)
    found, highest = LpPool(size, 10, same=False)(x), F.max_pool2d(x, size, 2)
    assert (found >= highest * (1 - 1e-6)).all()
    assert (
        found <= highest * size**0.2 + 1.001e-3 * x.max()
    ).all()  # a thousandth, so that the gradient is finite


@pytest.mark.parametrize("power", [1, 2, 10])
def test_pool_at_zero_and_at_any_scale(maps, power):
    pool = LpPool(3, power)
    x = torch.zeros(1, 2, 8, 8, requires_grad=True)
    pool(x).sum().backward()
    assert x.grad.isfinite().all()
    mixed = maps.float().clamp(min=0).requires_grad_()  # zeros beside others
    pool(mixed).sum().backward()
    assert mixed.grad.isfinite().all()
    for scale in (1e-6, 1e6):  # x^10 would vanish, or overflow
        torch.testing.assert_close(
            pool(maps.float() * scale), pool(maps.float()) * scale, rtol=1e-5, atol=1e-5 * scale
        )
    signed = LpPool(3, power)(maps)
    assert bool((signed < 0).any()) == (power == 1)


# divisive normalisation


@pytest.mark.parametrize("remove_mean", [False, True])
@pytest.mark.parametrize("threshold", [1e-6, 1, 1e6])
def test_normalisation_is_its_definition(maps, remove_mean, threshold):
    stretch, size = 0.5, 5
    x = (
        windows(maps, size).transpose(1, -1).flatten(4).movedim(1, -1).flatten(3)
    )  # (batch, y, x, all in the window)
    mean = x.mean(-1) if remove_mean else torch.zeros(())
    norm = (x - (mean[..., None] if remove_mean else 0)).square().sum(-1).sqrt()
    centre = maps[..., 2:-2, 2:-2] - (mean[:, None] if remove_mean else 0)
    divided = stretch * norm >= threshold
    expected = torch.where(divided[:, None], centre / norm[:, None], stretch * centre)
    found = DivisiveNorm(size, stretch, threshold, remove_mean, same=False)(maps)
    torch.testing.assert_close(found, expected)
    assert bool(divided.any()) == (threshold < 1e6)


def test_above_the_threshold_the_scale_of_the_image_and_the_stretch_do_not_matter(maps):
    reference = DivisiveNorm(3, 1, 0.1)(maps)
    torch.testing.assert_close(DivisiveNorm(3, 10, 0.1)(maps), reference)
    torch.testing.assert_close(DivisiveNorm(3, 1, 0.1)(100 * maps), reference)
    below = DivisiveNorm(3, 0.1, 1e9)(maps)
    torch.testing.assert_close(below, 0.1 * maps)


@pytest.mark.parametrize("same", [False, True])
def test_a_constant_image_becomes_zero_without_its_mean(same):
    x = torch.full((1, 3, 12, 12), 123.4)
    assert DivisiveNorm(5, 10, 0.1, remove_mean=True, same=same)(x).abs().max() < 1e-4
    assert DivisiveNorm(5, 10, 0.1, same=same)(x).min() > 0.1


def test_normalisation_has_finite_gradients_at_zero():
    for remove_mean in (False, True):
        x = torch.zeros(1, 2, 6, 6, requires_grad=True)
        DivisiveNorm(3, 1, 1, remove_mean)(x).square().sum().backward()
        assert x.grad.isfinite().all()


# filters


def test_filters_have_mean_0_and_norm_1_and_belong_to_their_seed():
    weight = random_filters(16, 3, 5, (1, 2, 3))
    torch.testing.assert_close(weight.mean((1, 2, 3)), torch.zeros(16), atol=1e-6, rtol=0)
    torch.testing.assert_close(weight.square().sum((1, 2, 3)), torch.ones(16))
    assert torch.equal(weight, random_filters(16, 3, 5, (1, 2, 3)))
    assert not torch.equal(weight, random_filters(16, 3, 5, (1, 2, 4)))
    assert random_filters(2, 1, 1, (0,)).abs().unique().tolist() == [1]


def test_limits_of_the_filters(maps):
    x = maps.float()
    free = FilterBank(4, 3, 3, (0,), min_out=None)(x)
    assert torch.equal(FilterBank(4, 3, 3, (0,), min_out=0, max_out=1)(x), free.clamp(0, 1))
    assert torch.equal(FilterBank(4, 3, 3, (0,), min_out=None, max_out=1)(x), free.clamp(max=1))


def test_the_filters_of_a_network_are_drawn_once_whatever_the_seed_of_pytorch():
    nets = []
    for seed in (0, 1):
        torch.manual_seed(seed)
        nets.append(create_model("hcnn", num_classes=3, width=0.1))
    one, other = (net.state_dict() for net in nets)
    fixed = [key for key in one if key.endswith("filters.weight")]
    assert len(fixed) == 4
    assert all(torch.equal(one[key], other[key]) for key in fixed)
    assert not torch.equal(one["decoder.weight"], other["decoder.weight"])
    assert [name for name, _ in nets[0].named_parameters()] == ["decoder.weight", "decoder.bias"]
    again = create_model("hcnn", num_classes=3, width=0.1, filter_seed=1).state_dict()
    assert not any(torch.equal(one[key], again[key]) for key in fixed)


def test_trained_filters_have_gradients_and_the_same_keys():
    net = create_model("hcnn", num_classes=3, width=0.1, filters="trained")
    fixed = create_model("hcnn", num_classes=3, width=0.1)
    net.load_state_dict(fixed.state_dict())
    images = torch.randn(4, 3, 48, 48)
    torch.testing.assert_close(net.eval()(images), fixed.eval()(images))
    net.train()(images).square().sum().backward()
    for name, parameter in net.named_parameters():
        assert parameter.grad.isfinite().all(), name
        assert parameter.grad.abs().max() > 0, name


# the network


def test_sizes_without_padding():
    net = create_model("hcnn", num_classes=3, width=0.05, same=False).eval()
    n, sizes = 200 - 8, []
    for own in list(published().values())[1:]:
        n = ((n - own["size"] + 1) - own["pool"] + 1 + 1) // 2 - (own["window"] - 1)
        sizes.append(n)
    _, states = net(torch.randn(1, 3, 200, 200), return_states=True)
    assert [state.shape[-1] for state in states.values()] == sizes == [88, 34, 10, 1]
    smallest = net.smallest()
    assert net(torch.randn(1, 3, smallest, smallest)).isfinite().all()
    with pytest.raises(
        CornetError, match=r"images of 184 x 200 pixels are too small .* need 185; give larger"
    ):
        net(torch.randn(1, 3, smallest - 1, 200))


def test_sizes_with_padding():
    _, states = create_model("hcnn", width=0.05)(torch.randn(1, 3, 64, 57), return_states=True)
    assert [tuple(state.shape[-2:]) for state in states.values()] == [(32, 29), (16, 15), (8, 8), (4, 4)]


def test_grey():
    colours = torch.eye(3).view(3, 3, 1, 1)
    torch.testing.assert_close(grey(colours).flatten(), torch.tensor([0.299, 0.587, 0.114]))
    one = torch.randn(2, 1, 4, 4)
    assert grey(one) is one
    net = create_model("hcnn", num_classes=3, width=0.1, in_channels=1).eval()
    colour = create_model("hcnn", num_classes=3, width=0.1).eval()
    colour.load_state_dict(net.state_dict())
    images = torch.randn(2, 3, 32, 32)
    torch.testing.assert_close(net(grey(images)), colour(images))


def test_changes_by_area():
    net = create_model("hcnn", width=0.1, layers={"V4": {"pool": 5, "channels": 30}, "input": {"window": 3}})
    assert (net.areas["V4"].pool.size, net.input_norm.window) == (5, 3)
    assert net.areas["V4"].filters.weight.shape[0] == 3
    assert net.areas["V2"].pool.size == published()["V2"]["pool"]


def test_the_decoder_reads_standardised_features():
    torch.manual_seed(0)
    layer = StandardisedLinear(3, 2)
    features = 1e-3 * torch.randn(400, 3) + torch.tensor([1.0, 0.0, -5.0])
    variance = features.var(0, correction=0)
    scaled = (features - features.mean(0)) / (variance + 0.01 * variance.mean()).sqrt()
    torch.testing.assert_close(
        layer(features), F.linear(scaled, layer.weight, layer.bias), rtol=1e-3, atol=1e-3
    )
    for _ in range(100):
        layer(features)
    layer.eval()
    torch.testing.assert_close(
        layer(features), F.linear(scaled, layer.weight, layer.bias), rtol=1e-2, atol=1e-2
    )
    assert layer(features.view(2, 200, 3)).shape == (2, 200, 2)
    sparse = features * torch.tensor([1.0, 1.0, 0.0])
    rarely = StandardisedLinear(3, 2)
    for _ in range(100):
        rarely(sparse)
    active = sparse.clone()
    active[0, 2] = 1e-3  # silent in training
    assert rarely.eval()(active).abs().max() < 20
    tiny = StandardisedLinear(3, 2)
    constant = 1e-6 * features * torch.tensor([1.0, 1.0, 0.0]) + 0.1 * torch.tensor([0.0, 0.0, 1.0])
    assert 0.1 < tiny(constant).std() < 10
    assert layer.train()(features[:1]).isfinite().all()  # a last batch of one image


# the space


def test_members_belong_to_their_numbers():
    assert hcnn_member(0, 17) == hcnn_member(0, 17)
    assert hcnn_member(0, 17) != hcnn_member(0, 18)
    assert hcnn_member(0, 17) != hcnn_member(1, 17)
    assert hcnn_member(17, 0) != hcnn_member(0, 17)


def test_members_cover_the_space_evenly():
    members = [hcnn_member(3, index) for index in range(600)]
    areas = list(published())
    assert all(list(member) == areas for member in members)
    assert all({*member[area]} == {*published()[area]} for member in members[:5] for area in areas)
    for area, key in itertools.product(areas[1:], ["channels", *SPACE]):
        values = SPACE[key] if key in SPACE else CHANNELS[areas.index(area) - 1]
        drawn = [member[area][key] for member in members]
        for value in values:
            share, spread = 1 / len(values), math.sqrt(len(values) / 600)
            assert abs(drawn.count(value) / 600 / share - 1) < 4.5 * spread, (area, key, value)
    pools = [(member["V1"]["pool"], member["V2"]["pool"]) for member in members]
    assert len({*pools}) == 16  # areas are drawn independently


@pytest.mark.parametrize("member", range(4))
def test_members_run(member):
    net = create_model("hcnn", num_classes=3, member=member, width=0.25)
    logits, states = net(torch.randn(2, 3, 32, 32), return_states=True)
    assert logits.isfinite().all()
    assert all(state.isfinite().all() and state.std() > 0 for state in states.values())
    assert net.parameters_by_area == hcnn_member(0, member)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"member": -1}, "member=-1 must be a whole number"),
        ({"member": 1.5}, "member=1.5 must be a whole number"),
        ({"filter_seed": "a"}, "filter_seed='a' must be a whole number"),
        ({"filters": "learned"}, "filters='learned' is unknown; choose one of random, trained"),
        ({"in_channels": 2}, "in_channels=2 must be 3 for colours"),
        ({"width": 0}, "width=0"),
        ({"layers": {"V3": {}}}, "layers names 'V3', which is unknown; choose from input, V1, V2, V4, IT"),
        ({"layers": {"V1": {"pol": 3}}}, r"layers\.V1\.pol is unknown; choose from channels, size"),
        ({"layers": {"input": {"size": 3}}}, r"layers\.input\.size is unknown"),
        ({"layers": {"V1": {"pool": 4}}}, r"layers\.V1\.pool=4 must be odd"),
        ({"layers": {"V1": {"power": 0.5}}}, r"layers\.V1\.power=0.5 must be at least 1"),
        ({"layers": {"V1": {"stretch": 0}}}, r"layers\.V1\.stretch=0 must be a number above 0"),
        ({"layers": {"V1": {"remove_mean": 1}}}, r"layers\.V1\.remove_mean=1 must be true or false"),
        ({"layers": {"V1": {"max_out": "x"}}}, r"layers\.V1\.max_out='x' must be a number, or null"),
        ({"layers": {"V1": {"filter_seed": -1}}}, r"layers\.V1\.filter_seed=-1 must be a whole number"),
    ],
)
def test_refused(arguments, message):
    with pytest.raises(CornetError, match=message):
        create_model("hcnn", **arguments)

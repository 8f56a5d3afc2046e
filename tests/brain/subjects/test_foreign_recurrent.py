"""A BL network as a plain module, whose layers run once a step: recorded by call, it has the states of `Network`."""

import itertools

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

import cornet
from cornet import create_model
from cornet.brain.subjects import LayerSubject, NetworkSubject
from cornet.brain.subjects.any_network import subject_of
from cornet.brain.subjects.subject import Site
from tests.helpers.brain.drawn_bundle import assembly, write
from tests.helpers.brain.made_up_stimuli import stimuli

STEPS, SIZE = 4, 32
LAYERS = {"V1": "relu.0", "V2": "relu.1", "V4": "relu.2", "IT": "relu.3"}
TIMES = {"step_ms": 30, "onset_ms": {"V1": 50, "V2": 70, "V4": 90, "IT": 100}}


class PlainBL(nn.Module):
    """Layers of PyTorch alone: each convolution and ReLU runs once a step, each batch norm at one step."""

    def __init__(self, net):
        super().__init__()
        areas = list(net.areas.values())
        self.up = nn.ModuleList(area.bottom_up for area in areas)
        self.again = nn.ModuleList(area.lateral for area in areas)
        self.norm = nn.ModuleList(area.norm.norms for area in areas)
        self.relu = nn.ModuleList(nn.ReLU(inplace=True) for _ in areas)
        self.readout = net.decoder

    def forward(self, images):
        last = [None] * len(self.up)
        for step in range(STEPS):
            x = images
            for k in range(len(last)):
                x = self.up[k](F.max_pool2d(x, 2) if k else x)
                if step:
                    x = x + self.again[k](last[k])
                x = last[k] = self.relu[k](self.norm[k][step](x))
        return self.readout(x.mean((2, 3)))


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("CORNET_CACHE", str(tmp_path / "cache"))


@pytest.fixture(scope="module")
def net():
    torch.manual_seed(0)
    net = create_model("bl", num_classes=5, times=STEPS, width=0.1)
    with torch.no_grad():  # statistics and biases that differ between the steps
        for _ in range(3):
            net(torch.randn(8, 3, SIZE, SIZE))
        for name, weight in net.named_parameters():
            if "norms" in name:
                weight.add_(0.3 * torch.randn_like(weight))
    return net.eval()


@pytest.fixture
def plain(net):
    return LayerSubject(PlainBL(net), regions=LAYERS, size=SIZE)


def test_every_pass_has_the_states_of_the_network(net, plain):
    shown = stimuli(5, height=SIZE, width=SIZE)
    sites = [Site(layer, step) for layer in LAYERS.values() for step in range(STEPS)]
    found = plain.record(shown, [*sites, plain.readout_site(), Site("logits")])
    own = NetworkSubject(net, size=SIZE)
    expected = own.record(shown, own.sites())
    for area, layer in LAYERS.items():
        states = [expected[Site(area, step)] for step in range(STEPS)]
        for step, state in enumerate(states):
            np.testing.assert_allclose(found[Site(layer, step)], state, rtol=1e-5, atol=1e-5)
        change = [np.abs(a - b).max() for a, b in itertools.pairwise(states)]
        assert min(change) > 0.1  # passes differ
    np.testing.assert_allclose(
        found[plain.readout_site()], expected[own.readout_site()], rtol=1e-5, atol=1e-5
    )
    np.testing.assert_allclose(found[Site("logits")], expected[Site("logits")], rtol=1e-5, atol=1e-5)


def test_calls_are_counted_and_the_last_one_is_compared_without_times(plain):
    assert plain.region_sites() == [Site(layer, step) for layer in LAYERS.values() for step in range(STEPS)]
    assert {region: plain.site(region).step for region in LAYERS} == dict.fromkeys(LAYERS, STEPS - 1)
    assert plain.site("IT", (70, 80)) == Site("relu.3", STEPS - 1)


def test_time_bins_select_the_same_passes(net, plain):
    timed, own = plain.with_times(**TIMES), subject_of(net, size=SIZE)
    for region, layer in LAYERS.items():
        for start in range(0, 300, 10):
            step = own.site(region, (start, start + 10)).step
            assert timed.site(region, (start, start + 10)) == Site(layer, step)
        assert timed.first_interval(region) == own.first_interval(region)


@pytest.fixture
def bundle(tmp_path):
    """60 stimuli, two neuroids of each region, in a bin of 100 ms."""

    def at(start):
        data = assembly(tuple(region for region in LAYERS for _ in range(2)))
        ends = {"time_bin_start": ("time_bin", [start]), "time_bin_end": ("time_bin", [start + 100])}
        return str(write(tmp_path / f"from{start}", data.assign_coords(ends)))

    return at


def scored(model, **options):
    """The sites, and the raw scores, by region."""
    table = cornet.score(model, size=SIZE, metric="ridge", progress=False, **options).set_index("region")
    return table["sites"].to_dict(), table["raw"].sort_index().to_numpy()


@pytest.mark.parametrize("start", [70, 150])
def test_scores_are_equal(net, bundle, start):
    options = {"on": [bundle(start)], "time_bin": (start, start + 100)}
    sites, own = scored(net, **options)
    plain_sites, plain = scored(PlainBL(net), layers=LAYERS, **TIMES, **options)
    assert plain_sites == {
        region: f"{LAYERS[region]}[{site.partition('[')[2]}" for region, site in sites.items()
    }
    assert len({site[-2] for site in sites.values()}) > 1
    np.testing.assert_allclose(plain, own, atol=1e-4)
    assert own.std() > 0


@pytest.mark.parametrize("step", [0, STEPS - 1])
def test_a_pass_can_be_named(net, bundle, step):
    layers = {region: f"{layer}[{step}]" for region, layer in LAYERS.items()}
    options = {"on": [bundle(70)]}
    sites, plain = scored(PlainBL(net), layers=layers, **options)
    assert sites == layers
    sites, own = scored(net, layers={region: Site(region, step) for region in LAYERS}, **options)
    assert sites == {region: f"{region}[{step}]" for region in LAYERS}
    np.testing.assert_allclose(plain, own, atol=1e-4)
